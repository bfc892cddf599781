"""Exact resume: a run that is killed anywhere, by a real SIGKILL, and given again ends with the weights of one that
was not.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from anyecg.types import REQUEUE
from tests.conftest import SMALL

ROOT = Path(__file__).parents[2]
ALONE = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
DROPOUT = ["encoder.dropout=0.1", "llm.lora.dropout=0.1", "trainer.log_every=2"]


@dataclass(frozen=True)
class Scenario:
    """A curriculum, the steps of its stages (of two micro-batches each), and by the number of workers where it is
    killed, one after the other.
    """

    settings: list[str]
    steps: dict[str, int]
    points: dict[int, list[list]]


SCENARIOS = {
    "begins": Scenario(  # a checkpoint every third step, questions that are visited again
        [
            "curriculum=[contrastive,stage2]",
            "stages.language.samples=64",
            "stages.contrastive.samples=64",
            "stages.stage2.samples=192",
            "stages.stage2.tasks.localization_short=16",
            "trainer.checkpoint_every=3",
            "stages.stage2.validate.every=2",
            "stages.stage2.keep=best",
        ],
        {"language": 4, "contrastive": 4, "stage2": 12},
        {
            0: [
                ["language", "batch", 1],  # in the middle of the first step: there is no checkpoint yet
                ["language", "checkpoint", 0],  # half of the first one written
                ["language", "batch", 7],  # in the middle of the last step
                ["language", "next"],  # between two stages
                ["contrastive", "embedding", 2],  # reports half embedded
                ["contrastive", "embedded"],  # all of them, before the first step
                ["contrastive", "renaming"],  # a checkpoint is whole, but not called last.ckpt yet
                ["contrastive", "told"],  # all of the output is written, nothing is tidied up
                ["stage2", "batch", 13],  # in the middle of step 7, after the checkpoint of step 6
                ["stage2", "renaming"],  # the checkpoint of step 9 is whole, but the one of step 6 still in its place
                ["stage2", "output"],  # half of the output written
                ["stage2", "finishing"],  # all of it, the checkpoint dropped, the folder not yet called by its name
            ],
            2: [["stage2", "batch", 2], ["stage2", "batch", 13], ["stage2", "batch", 23]],
        },
    ),
    "ends": Scenario(  # a checkpoint every step; stage 3's encoder is frozen
        [
            "curriculum=[stage1,stage3]",
            "stages.language.samples=32",
            "stages.stage1.samples=64",
            "stages.stage3.samples=64",
            "trainer.checkpoint_every=1",
        ],
        {"language": 2, "stage1": 4, "stage3": 4},
        {
            0: [
                ["stage1", "batch", 0],  # before anything of the stage
                ["stage1", "batch", 5],  # in the middle of step 3
                ["stage1", "saved"],  # the last checkpoint there will be, that of step 3, was just written
                ["stage1", "batch", 7],  # in the middle of the last step
                ["stage1", "trained"],  # every step is taken, nothing of the output is written
                ["stage1", "next"],  # between two stages
                ["stage3", "batch", 1],  # in the middle of the first step
                ["stage3", "saved", 1],  # the checkpoint of step 2 was just written
                ["stage3", "batch", 5],  # in the middle of step 3, right after it
                ["stage3", "saved"],  # the last checkpoint
                ["stage3", "output"],  # half of the output written
            ]
        },
    ),
}


def start(small_cache, folder, scenario, points, workers):
    """The stages in the cache, and the trace, of a run that was killed at these points and went on."""
    command = [
        sys.executable,
        "-m",
        "tests.training.killing",
        str(small_cache),
        str(folder / "trace"),
        json.dumps(points),
        *SMALL,
        *DROPOUT,
        *SCENARIOS[scenario].settings,
        f"cache={folder}",
        f"trainer.workers={workers}",
    ]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | ALONE, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "stages", [json.loads(line) for line in (folder / "trace").read_text().splitlines()]


@pytest.fixture(scope="module")
def uninterrupted(small_data, small_cache, tmp_path_factory):
    """scenario -> what its run leaves that nothing kills; each is run once."""
    known = {}

    def run(scenario):
        if scenario not in known:
            known[scenario] = start(small_cache, tmp_path_factory.mktemp(scenario), scenario, [], 0)
        return known[scenario]

    return run


def same_outputs(whole, cut, stage):
    """Of a stage: the same key, files and, to the last bit, weights; returns both folders."""
    (one,), (other,) = (list(stages.glob(f"{stage}-*")) for stages in (whole, cut))
    assert one.name == other.name and {path.name for path in one.iterdir()} == {path.name for path in other.iterdir()}
    weights = sorted(path.relative_to(one) for path in one.rglob("*.safetensors"))
    assert weights
    for file in weights:
        a, b = load_file(one / file), load_file(other / file)
        assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a), f"{stage}/{file}"
    return one, other


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "workers"), [(name, workers) for name, scenario in SCENARIOS.items() for workers in scenario.points]
)
def test_a_run_killed_anywhere_ends_with_the_same_weights_and_has_seen_the_same_questions(
    small_cache, uninterrupted, tmp_path, scenario, workers
):
    """Dropout on, accumulation, three stages; every kill is a SIGKILL, every restart the same command."""
    told = SCENARIOS[scenario]
    (whole, seen), (cut, seen_again) = (
        uninterrupted(scenario),
        start(small_cache, tmp_path, scenario, told.points[workers], workers),
    )
    visits = {}
    for stage, steps in told.steps.items():
        folders = same_outputs(whole, cut, stage)
        curves = [
            [line.split(",")[:4] + line.split(",")[5:] for line in (folder / "loss.csv").read_text().splitlines()]
            for folder in folders
        ]
        assert curves[0] == curves[1] and len(curves[0]) == 1 + steps // 2
        order = [ids for name, _, ids in seen if name == stage]
        assert len(order) == 2 * steps
        again = {batch: ids for name, batch, ids in seen_again if name == stage}
        assert [again[batch] for batch in sorted(again)] == order
        assert all(ids == order[batch] for name, batch, ids in seen_again if name == stage)
        visits[stage] = [id for ids in order for id in ids]
    if scenario == "begins":
        assert len(set(visits["stage2"])) < len(visits["stage2"])
    assert len(seen_again) > len(seen)


SOAK = Scenario(  # the whole curriculum, a checkpoint every step
    [
        "curriculum=[contrastive,stage1,stage2,stage3]",
        *(f"stages.{name}.samples=32" for name in ("language", "contrastive", "stage1", "stage2", "stage3")),
        "trainer.checkpoint_every=1",
        "stages.stage2.keep=best",
    ],
    dict.fromkeys(("language", "contrastive", "stage1", "stage2", "stage3"), 2),
    {},
)
KILLS = int(os.environ.get("ANYECG_SOAK", "4"))


@pytest.mark.slow
def test_a_curriculum_that_is_killed_at_random_ends_the_same(small_cache, tmp_path, monkeypatch):
    """ANYECG_SOAK says how many times; a SIGKILL each, at any moment of what an undisturbed run takes."""
    monkeypatch.setitem(SCENARIOS, "soak", SOAK)
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole, seen = start(small_cache, tmp_path / "whole", "soak", [], 0)
    times = [path.stat().st_mtime for path in whole.glob("*/stage.json")]
    took = max(times) - min(times)  # of all stages but the first
    rng = np.random.default_rng(KILLS)
    points = [["", "seconds", float(seconds)] for seconds in rng.uniform(0.3, max(1.0, took), KILLS)]
    cut, seen_again = start(small_cache, tmp_path / "cut", "soak", points, 0)
    for stage in SOAK.steps:
        same_outputs(whole, cut, stage)
        order = [ids for name, _, ids in seen if name == stage]
        assert all(ids == order[batch] for name, batch, ids in seen_again if name == stage)
    assert not list(cut.glob("*.partial")) and len(seen_again) >= len(seen)


COMMAND = [
    *DROPOUT,
    "curriculum=[stage1]",
    "stages.language.samples=32",
    "stages.stage1.samples=480",
    "trainer.checkpoint_every=4",
    "evaluation.limit=4",
    "evaluation.tasks=[classification]",
    "evaluation.views=[signal]",
    "evaluation.max_new_tokens=4",
]


def begin(folder):
    command = [
        sys.executable,
        "-m",
        "anyecg.run",
        "experiments/anyecg_chat.yaml",
        *SMALL,
        *COMMAND,
        f"cache={folder}",
        f"output={folder / 'runs'}",
    ]
    with (folder / "said").open("a") as said:
        return subprocess.Popen(command, cwd=ROOT, env=os.environ | ALONE, stdout=said, stderr=said)


@pytest.fixture(scope="module")
def undisturbed(small_data, small_cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(small_cache, folder, ignore=shutil.ignore_patterns("stages"), dirs_exist_ok=True)
    assert begin(folder).wait(600) == 0, (folder / "said").read_text()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, REQUEUE)])
def test_the_command_itself_stopped_and_given_again_ends_with_the_same_weights(
    small_cache, undisturbed, tmp_path, number, status
):
    """Killed: it goes on from its last periodic checkpoint; given notice: from the step that it was at."""
    cut, stage = tmp_path, "stages/stage1-*.partial"
    shutil.copytree(small_cache, cut, ignore=shutil.ignore_patterns("stages"), dirs_exist_ok=True)
    process = begin(cut)
    while not list(cut.glob(f"{stage}/last.ckpt")):
        assert process.poll() is None, (cut / "said").read_text()
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(60) == status, (cut / "said").read_text()
    (last,) = cut.glob(f"{stage}/last.ckpt")
    if number == signal.SIGTERM:
        step = torch.load(last, weights_only=False)["global_step"]
        assert f"told to stop at step {step} of" in (cut / "said").read_text()
    assert not list(cut.glob("runs/*/metrics.json"))
    assert begin(cut).wait(600) == 0, (cut / "said").read_text()
    assert "continues from" in (cut / "said").read_text()
    for name in ("language", "stage1"):
        same_outputs(undisturbed / "stages", cut / "stages", name)
    (whole,), (again,) = (list(folder.glob("runs/*/predictions.jsonl")) for folder in (undisturbed, cut))
    assert whole.read_bytes() == again.read_bytes()
