"""The curriculum: shared prefixes, reuse, and outputs that load back."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from anyecg import config
from anyecg.run import build_model
from anyecg.training.pipeline import load_stage, plan, run_stages, train
from anyecg.types import CheckpointError, ConfigError
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


def test_an_unknown_objective_is_named(small_data, small_cache):
    experiment = load("anyecg_chat", f"cache={small_cache}", "stages.stage1.objective=guessing")
    model = build_model(experiment, small_data)
    with pytest.raises(ConfigError, match="stages.stage1.objective: 'guessing'"):
        train(experiment, plan(experiment, "x")[2], model, small_data, None)


def test_an_uneven_batch_is_an_error(small_data, small_cache):
    experiment = load("anyecg_chat", f"cache={small_cache}", "stages.stage1.micro_batch=5")
    with pytest.raises(ConfigError, match="16 is not a multiple of micro_batch 5"):
        train(experiment, plan(experiment, "x")[2], build_model(experiment, small_data), small_data, None)
