"""The notebooks, cell by cell, at toy size."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
SMALL = {
    "embeddings": {"PATIENTS": "24", "SAMPLES": "48", "HEARTS": "4"},
    "own_folder": {"PATIENTS": "40", "SCALE": "0.001", "TASKS": "classification"},
}
LEFT = {
    "embeddings": ["embeddings.png", "models/notebook_encoder/zero_shot.safetensors"],
    "own_folder": ["models/own_folder/llm"],
}


def test_each_notebook_is_known_here():
    assert {path.stem for path in NOTEBOOKS} == SMALL.keys()


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, tmp_path):
    """In a folder of its own, as someone who installed anyecg would."""
    environment = os.environ | SMALL[path.stem] | {"MPLBACKEND": "agg", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(path)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=800
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert all((tmp_path / name).exists() for name in LEFT[path.stem]), done.stdout
    if path.stem == "own_folder":
        assert len(pd.read_csv(tmp_path / "my_ecgs" / "records.csv")) == 40 and "blind" in done.stdout
