"""The processes of a run: as many as configured, one works while the others wait, none waits for one that failed."""

import os
import subprocess
import sys

import pytest

from anyecg.config.schema import TrainerConfig
from anyecg.training import distributed
from anyecg.types import ConfigError


def test_as_many_processes_as_the_configuration_asks_for(monkeypatch):
    for key, value in {
        "TORCHELASTIC_RUN_ID": "x",
        "WORLD_SIZE": "4",
        "RANK": "1",
        "LOCAL_RANK": "1",
        "GROUP_RANK": "0",
    }.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(ConfigError, match=r"trainer.devices \(2\) times trainer.num_nodes \(1\) is 2, but 4 processes"):
        distributed.join(TrainerConfig(devices=2))


def test_the_others_find_what_the_first_process_did(monkeypatch):
    seen = []
    monkeypatch.setattr(distributed, "_from_first", lambda failure: seen.append("wait"))
    for first, order in ((True, ["work", "wait"]), (False, ["wait", "work"])):
        monkeypatch.setattr(distributed, "is_first", lambda first=first: first)
        seen.clear()
        with distributed.first_alone():
            seen.append("work")
        assert seen == order


WORK = """
import os, signal, sys
from lightning.fabric.utilities.rank_zero import rank_zero_only
from torch import distributed
from anyecg.training.distributed import first_alone, is_first
from anyecg.types import DataError
rank_zero_only.rank = int(sys.argv[1])
distributed.init_process_group("gloo", init_method="file://" + sys.argv[2], rank=int(sys.argv[1]), world_size=2)
with first_alone():
    print("first", flush=True)
with first_alone():
    if is_first():
        if sys.argv[3] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise DataError("no corpus here")
    print("second", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("raise", "the first process stopped, so this one does too: DataError: no corpus here"),
        ("kill", "another process of the run ended"),
    ],
)
def test_where_the_first_process_fails_the_others_stop_at_once(tmp_path, end, words):
    start = [sys.executable, "-c", WORK]
    began = [
        subprocess.Popen(
            [*start, str(rank), str(tmp_path / "meet"), end],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        for rank in (0, 1)
    ]
    first = began[0].communicate(timeout=120)
    out, err = began[1].communicate(timeout=120)  # without word from the first it would wait for hours
    assert began[1].returncode
    assert out == "first\n" and f"AnyECGError: {words}" in err, err
    assert first[0] == "first\n" and (end == "kill" or "DataError: no corpus here" in first[1])
