"""A dataset of every corpus and every pool, built once a session by the command."""

import pytest

from anyecg.data.__main__ import main

EVERYTHING = (
    "corpora.mimic.patients=40",
    "corpora.ptbxl.patients=30",
    "corpora.cpsc2018.patients=14",
    "corpora.csn.patients=14",
    *(
        f"corpora.{name}.{key}"
        for name in ("mit_bih_arrhythmia", "mit_bih_st", "european_st_t")
        for key in ("patients=8", "seconds=65")
    ),
    "tasks.localization.windows_per_record=2",
    "tasks.ecg_qa.folders.ptbxl=simulated",
    "tasks.ecg_qa.folders.mimic=simulated",
    "tasks.ecg_qa.share=0.3",
)


@pytest.fixture(scope="session")
def everything(tmp_path_factory):
    """Its folder."""
    folder = tmp_path_factory.mktemp("everything") / "set"
    assert main(["build", *EVERYTHING, "--to", str(folder), "--workers", "1"]) == 0
    return folder
