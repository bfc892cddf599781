"""`export` and `import` of `python -m anyecg.data`: a dataset to JSON and back, and what is told of what is left
out.
"""

import json

import pandas as pd
import pytest

from anyecg.config.schema import Slot
from anyecg.data.__main__ import main
from anyecg.data.dataset.built import open_dataset
from anyecg.tasks.dataset import build_dataset
from anyecg.tasks.release.rows import paths
from anyecg.types import CANONICAL_LEADS
from tests.building import tasks
from tests.data.native import REAL, beat_train, write_annotated

UPSTREAM = [REAL / "upstream_json" / f"{name}.json" for name in ("stage1", "stage2", "stage3", "mimic_llama3.3-70b")]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "built"
    sources = {
        "mimic": Slot.of("corpus", "mimic", patients=8, seed=1),
        "mit_bih_arrhythmia": Slot.of("corpus", "mit_bih_arrhythmia", patients=4, seed=1, seconds=90.0),
    }
    build_dataset(sources, tasks(localization={"windows_per_record": 2}), folder, progress=False)
    return folder


def pairs(folder):
    questions = open_dataset(folder).questions
    return list(zip(questions.column("split"), questions))


def test_export_then_import_then_export(dataset, tmp_path, capsys):
    first, again, folder = tmp_path / "first.json", tmp_path / "again.json", tmp_path / "new"
    assert main(["export", str(dataset), "--to", str(first)]) == 0
    assert main(["import", str(first), "--data", str(dataset), "--to", str(folder)]) == 0
    assert main(["export", str(folder), "--to", str(again)]) == 0
    assert pairs(folder) == pairs(dataset) and again.read_bytes() == first.read_bytes()
    assert f"{len(pairs(dataset)):,} questions in {folder}" in capsys.readouterr().out


def test_parts_of_a_dataset(dataset, tmp_path):
    files = []
    for split in ("train", "val", "test"):
        for task in ("report", "localization", "multi_ecg"):
            wanted = [pair for pair in pairs(dataset) if pair[0] == split and pair[1].task == task]
            if wanted:
                files.append(str(tmp_path / f"{split}-{task}.json"))
                assert main(["export", str(dataset), "--to", files[-1], "--split", split, "--task", task]) == 0
                assert len(json.loads((tmp_path / files[-1]).read_text())) == len(wanted)
    assert main(["import", *files, "--data", str(dataset), "--to", str(tmp_path / "new")]) == 0
    in_order = [sorted(pairs(folder), key=lambda pair: pair[1].id) for folder in (dataset, tmp_path / "new")]
    assert in_order[0] == in_order[1] and len(files) > 5


def test_exported_answers_are_verified_against_the_source(dataset, tmp_path, capsys):
    file = tmp_path / "location.json"
    assert main(["export", str(dataset), "--to", str(file), "--task", "localization"]) == 0
    (source,) = (dataset / "corpora").glob("mit_bih_arrhythmia-*")
    assert main(["verify", str(file), "--root", f"mit_bih_arrhythmia={source}", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert result["agree"] == result["checked"] == len(json.loads(file.read_text())) and not result["unchecked"]


def test_rows_about_other_recordings_are_left_out_and_told(dataset, tmp_path, capsys):
    file = tmp_path / "rows.json"
    main(["export", str(dataset), "--to", str(file), "--task", "report"])
    rows = json.loads(file.read_text())
    rows[0]["ecg_path"], rows[1]["dataset"] = "files/p1/s1/1", "ptbxl"
    file.write_text(json.dumps(rows))
    assert main(["import", str(file), "--data", str(dataset), "--to", str(tmp_path / "new")]) == 0
    printed = capsys.readouterr().out
    assert "2 rows left out" in printed and "mimic has no record files/p1/s1/1 in this dataset (1 rows)" in printed
    assert len(pairs(tmp_path / "new")) == len(rows) - 2
    file.write_text(json.dumps(rows[:2]))
    assert main(["import", str(file), "--data", str(dataset), "--to", str(tmp_path / "none")]) == 2
    assert "none of 2 rows can be imported" in capsys.readouterr().err


@pytest.mark.skipif(not UPSTREAM[0].is_file(), reason=f"no released files in {REAL}")
def test_the_released_files_come_back_from_the_commands(tmp_path):
    """Recordings made up at the places that the released rows name; one patient's European record and MIMIC's, each
    in its split.
    """
    rows = [json.loads(path.read_text()) for path in UPSTREAM]
    listed = []
    for place in sorted({place for part in rows for row in part if row["dataset"] == "mimic" for place in paths(row)}):
        *_, patient, study, name = place.split("/")  # noqa: RUF059
        write_annotated(
            tmp_path / "mimic" / place.rpartition("/")[0],
            name,
            beat_train(10.0, 500, 12),
            500,
            CANONICAL_LEADS,
            beats=(),
        )
        listed.append(
            {
                "subject_id": patient.removeprefix("p"),
                "study_id": name,
                "path": place,
                "ecg_time": "2168-01-01 10:00:00",
            }
        )
    pd.DataFrame(listed).to_csv(tmp_path / "mimic" / "record_list.csv", index=False)
    pd.DataFrame([{"study_id": one["study_id"], "report_0": "Sinus rhythm"} for one in listed]).to_csv(
        tmp_path / "mimic" / "machine_measurements.csv", index=False
    )
    write_annotated(
        tmp_path / "edb",
        "e0103",
        beat_train(7200.0, 250),
        250,
        beats=[(k + 0.5, "V" if k % 9 == 4 else "N") for k in range(7200)],
    )
    roots = ["--root", f"mimic={tmp_path / 'mimic'}", "--root", f"european_st_t={tmp_path / 'edb'}"]
    assert (
        main(
            [
                "build",
                "--to",
                str(tmp_path / "set"),
                *roots,
                "tasks.localization.windows_per_record=1",
                "--workers",
                "1",
            ]
        )
        == 0
    )
    assert main(["import", *map(str, UPSTREAM), "--data", str(tmp_path / "set"), "--to", str(tmp_path / "new")]) == 0
    assert main(["export", str(tmp_path / "new"), "--to", str(tmp_path / "again.json")]) == 0
    assert json.loads((tmp_path / "again.json").read_text()) == sum(rows, [])  # noqa: RUF017


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["export", "{data}", "--to", "{tmp}/x.json", "--task", "location"],
            "its tasks are localization, multi_ecg, report",
        ),
        (["export", "{data}", "--to", "{tmp}/nowhere/x.json"], "cannot be written"),
        (["export", "{data}", "--to", "{tmp}/bad.json/x.json"], "bad.json/x.json cannot be written (Not a directory)"),
        (["export", "{tmp}/none", "--to", "{tmp}/x.json"], "no finished dataset"),
        (["import", "{tmp}/gone.json", "--data", "{data}", "--to", "{tmp}/new"], "gone.json cannot be read"),
        (["import", "{tmp}/bad.json", "--data", "{data}", "--to", "{tmp}/new"], "bad.json: row 1: question: not there"),
    ],
)
def test_what_its_user_can_mend(dataset, tmp_path, capsys, arguments, message):
    (tmp_path / "bad.json").write_text("[{}]")
    assert main([argument.format(data=dataset, tmp=tmp_path) for argument in arguments]) == 2
    assert message in capsys.readouterr().err
