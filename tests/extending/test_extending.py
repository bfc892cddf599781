"""One part of every kind in files outside the package, run through the command line to a table."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LEADS = ("I", "II", "V1", "V5")


def write_ecgs(folder, patients=72, fs=250, seconds=10):
    """Ten seconds of beats at about 55 or 110 a minute, four leads, in mV: `labels.csv` and a file an ECG."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows, times = [], np.arange(fs * seconds) / fs
    for number in range(patients):
        label = ("slow", "fast")[number % 2]
        beats = np.arange(
            rng.uniform(0, 0.5), seconds, 60 / (rng.normal(55, 3) if label == "slow" else rng.normal(110, 5))
        )
        beat = sum(np.exp(-0.5 * ((times - at) / 0.02) ** 2) for at in beats)
        signal = beat[:, None] * rng.uniform(0.5, 1.5, len(LEADS)) + rng.normal(0, 0.02, (len(times), len(LEADS)))
        np.savetxt(folder / f"e{number:03}.csv", signal, "%.3f", ",", header=",".join(LEADS), comments="")
        split = "train" if number < 40 else "val" if number < 48 else "test"
        rows.append((f"e{number:03}", f"p{number:03}", split, label))
    pd.DataFrame(rows, columns=["id", "patient", "split", "label"]).to_csv(folder / "labels.csv", index=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A researcher's folder: own parts, own ECGs, one experiment."""
    folder = tmp_path_factory.mktemp("project")
    for path in [*HERE.glob("my_*.py"), HERE / "experiment.yaml"]:
        shutil.copy(path, folder)
    write_ecgs(folder / "ecgs")
    return folder


def run(project, *arguments):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "anyecg.run", "experiment.yaml", *arguments]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def accuracy(folder, view="signal"):
    return json.loads((folder / "metrics.json").read_text())["tasks"]["rhythm"]["views"][view]["metrics"][
        "balanced_accuracy"
    ]


@pytest.mark.slow
def test_every_kind_of_part_runs_to_a_table(project):
    run(project)
    folder = project / "runs" / "extended"
    assert accuracy(folder) >= 0.9  # 48 questions about 24 patients; a constant answer gets 0.5
    assert abs(accuracy(folder, "shuffled") - 0.5) <= 0.2
    table = (folder / "table.md").read_text()
    assert "rhythm" in table and "balanced_accuracy" in table and "| played backwards |" in table
    steps = [int(line.split(",")[0]) for line in (project / "seconds.csv").read_text().splitlines()]
    assert steps == [40, 60, 120]  # the engine saw the language stage, the objective of ours, and the answers

    again = run(project)
    assert again.count("reused from") == 3 and len((project / "seconds.csv").read_text().splitlines()) == 3

    source = project / "my_connector.py"
    source.write_text(source.read_text().replace("self.layer(nn.functional", "1.5 * self.layer(nn.functional"))
    edited = run(project)
    assert edited.count("reused from") == 2  # what computes with the connector trains anew
    assert len((project / "seconds.csv").read_text().splitlines()) == 4


@pytest.mark.slow
def test_an_answerer_of_ones_own_is_a_row(project):
    run(project, "answerer=my_answerer:Nearest", "name=nearest")
    folder = next(path for path in (project / "runs").iterdir() if path.name.startswith("nearest"))
    assert accuracy(folder) >= 0.75  # 0.833; a constant answer gets 0.5
    assert json.loads((folder / "metrics.json").read_text())["answerer"]["name"] == "my_answerer:Nearest"


def test_every_part_is_one_file_that_the_docs_explain():
    docs = (ROOT / "docs" / "extending.md").read_text()
    for path in sorted(HERE.glob("my_*.py")):
        assert f"tests/extending/{path.name}" in docs, path.name
