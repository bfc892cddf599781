"""The curriculum: shared prefixes, reuse, exact resume, and outputs that load back."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from anyecg import config
from anyecg.run import build_model
from anyecg.training.pipeline import load_stage, plan, run_stages
from anyecg.types import CheckpointError
from tests.conftest import SMALL

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def load(name="anyecg_chat", *overrides):
    return config.load(EXPERIMENTS / f"{name}.yaml", [*SMALL, *overrides])


def keys(name):
    return {stage.name: stage.key for stage in plan(load(name), "data")}


@pytest.mark.parametrize(("ablation", "shared", "own"), [
    ("ablation_no_contrastive", ["language"], ["stage1", "stage2", "stage3"]),
    ("ablation_no_lead_emb", ["language"], ["contrastive", "stage1", "stage2", "stage3"]),
    ("ablation_no_dynamic_input", ["language", "contrastive"], ["stage1", "stage2", "stage3"]),
    ("ablation_full_tuning", ["language", "contrastive", "stage1"], ["stage2", "stage3"]),
    ("ablation_no_replay", ["language", "contrastive", "stage1"], ["stage2", "stage3"]),
    ("ablation_no_curriculum", ["language", "contrastive"], ["joint"]),
])
def test_a_prefix_is_shared_and_what_differs_is_not(ablation, shared, own):
    recipe, other = keys("anyecg_chat"), keys(ablation)
    assert all(other[name] == recipe[name] for name in shared)
    assert all(other[name] != recipe.get(name) for name in own)


def test_seed_and_data_are_part_of_every_key():
    base = {stage.key for stage in plan(load(), "data")}
    assert not base & {stage.key for stage in plan(load("anyecg_chat", "seed=1"), "data")}
    assert not base & {stage.key for stage in plan(load(), "other data")}


def test_an_llm_with_weights_of_its_own_has_no_language_stage():
    experiment = config.load(EXPERIMENTS / "anyecg_chat.yaml", ["llm=smollm2"])
    assert [stage.name for stage in plan(experiment, "data")] == ["contrastive", "stage1", "stage2", "stage3"]


@pytest.fixture(scope="module")
def trained_run(small_data, small_cache):
    """The small recipe, trained once: (experiment, model, stages)."""
    experiment = load("anyecg_chat", f"cache={small_cache}")
    model = build_model(experiment, small_data)
    return experiment, model, run_stages(experiment, model, small_data, experiment.text_encoder.build())


def test_a_stage_leaves_what_it_trained_and_nothing_else(trained_run):
    experiment, model, stages = trained_run
    held = {stage.name: {path.name for path in stage.folder.iterdir()} for stage in stages}
    assert {"parts.safetensors", "stage.json", "loss.csv"} <= held["stage1"] and "adapter" not in held["stage1"]
    assert {"parts.safetensors", "adapter"} <= held["stage3"]
    assert not any("last.ckpt" in names for names in held.values())
    parts = {stage.name: {key.split(".")[0] for key in load_file(stage.folder / "parts.safetensors")} for stage in stages}
    assert parts == {"language": {"markers"}, "contrastive": {"encoder"}, "stage1": {"encoder", "connector", "markers"},
                     "stage2": {"encoder", "connector", "markers"}, "stage3": {"connector", "markers"}}
    facts = json.loads((stages[3].folder / "stage.json").read_text())
    assert facts["steps"] == 3 and sum(facts["samples"].values()) == 48


def test_a_second_run_reuses_every_stage_and_ends_with_the_same_weights(trained_run, small_data, monkeypatch):
    experiment, model, stages = trained_run
    monkeypatch.setattr("anyecg.training.pipeline.train", lambda *_: pytest.fail("trained again"))
    again = build_model(experiment, small_data)
    run_stages(experiment, again, small_data, None)
    for (name, one), other in zip(model.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_the_lora_matrices_start_as_the_identity_and_learn(trained_run, small_data):
    experiment, model, _ = trained_run
    fresh = build_model(experiment, small_data)
    assert all(not p.any() for name, p in fresh.llm.tuned() if "lora_B" in name)
    assert any(p.any() for name, p in model.llm.tuned() if "lora_B" in name)


def test_a_damaged_output_is_named(trained_run, small_data, tmp_path):
    experiment, _, stages = trained_run
    stage = replace(stages[2], folder=tmp_path)
    (tmp_path / "parts.safetensors").write_bytes(b"not a file")
    with pytest.raises(CheckpointError, match="parts.safetensors: cannot be read"):
        load_stage(build_model(experiment, small_data), stage)


def test_a_stage_of_another_model_is_refused(trained_run, small_data, small_cache):
    _, _, stages = trained_run
    other = build_model(load("anyecg_chat", f"cache={small_cache}", "encoder.dim=48"), small_data)
    with pytest.raises(CheckpointError, match="this model needs"):
        load_stage(other, stages[2])


KILLED = ["curriculum=[contrastive,stage2]", "encoder.dropout=0.1", "llm.lora.dropout=0.1", "stages.language.samples=64", "stages.contrastive.samples=64",
          "stages.stage2.samples=192", "stages.stage2.tasks.localization_short=16", "trainer.checkpoint_every=3", "trainer.log_every=2"]
STEPS = {"language": 4, "contrastive": 4, "stage2": 12}  # of two micro-batches each; a checkpoint every third
POINTS = {
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
}


@pytest.fixture(scope="module")
def killed(small_data, small_cache, tmp_path_factory):
    """(points, workers) -> the cache of stages and the trace of a run that was killed at these points and went on."""

    def start(points, workers):
        folder = tmp_path_factory.mktemp("killed")
        command = [sys.executable, "-m", "tests.training.killing", str(small_cache), str(folder / "trace"), json.dumps(points), *SMALL, *KILLED,
                   f"cache={folder}", f"trainer.workers={workers}"]
        done = subprocess.run(command, cwd=EXPERIMENTS.parent, env=os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
                              capture_output=True, text=True, timeout=1800)
        assert done.returncode == 0, done.stdout + done.stderr
        return folder / "stages", [json.loads(line) for line in (folder / "trace").read_text().splitlines()]

    return start


@pytest.fixture(scope="module")
def uninterrupted(killed):
    return killed([], 0)


@pytest.mark.slow
@pytest.mark.parametrize("workers", list(POINTS))
def test_a_run_killed_anywhere_ends_with_the_same_weights_and_has_seen_the_same_questions(uninterrupted, killed, workers):
    """Dropout on, accumulation, questions visited again, three stages; every kill is a SIGKILL, every restart the same command."""
    (whole, seen), (cut, seen_again) = uninterrupted, killed(POINTS[workers], workers)
    for stage, steps in STEPS.items():
        (one,), (other,) = (list(stages.glob(f"{stage}-*")) for stages in (whole, cut))
        assert one.name == other.name and {path.name for path in one.iterdir()} == {path.name for path in other.iterdir()}
        weights = sorted(path.relative_to(one) for path in one.rglob("*.safetensors"))
        assert weights
        for file in weights:
            a, b = load_file(one / file), load_file(other / file)
            assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a), f"{stage}/{file}"
        curves = [[line.split(",")[:4] for line in (folder / "loss.csv").read_text().splitlines()] for folder in (one, other)]
        assert curves[0] == curves[1] and len(curves[0]) == 1 + steps // 2
        order = [ids for name, _, ids in seen if name == stage]
        assert len(order) == 2 * steps
        again = {batch: ids for name, batch, ids in seen_again if name == stage}
        assert [again[batch] for batch in sorted(again)] == order
        assert all(ids == order[batch] for name, batch, ids in seen_again if name == stage)
    visited = [id for ids in order for id in ids]
    assert len(set(visited)) < len(visited)
    assert len(seen_again) > len(seen)
