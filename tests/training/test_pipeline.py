"""The curriculum: shared prefixes, reuse, and outputs that load back."""

import fcntl
import json
import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from anyecg import config
from anyecg.data.store.shards import LOCK, locked
from anyecg.training.assembly import build_model
from anyecg.training.pipeline import _finish, load_stage, run_stages, train
from anyecg.training.planning import plan
from anyecg.types import CheckpointError
from tests.conftest import SMALL

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def load(name="anyecg_chat", *overrides):
    return config.load(EXPERIMENTS / f"{name}.yaml", [*SMALL, *overrides])


def keys(name):
    return {stage.name: stage.key for stage in plan(load(name), "data")}


@pytest.mark.parametrize(
    ("ablation", "shared", "own"),
    [
        ("ablation_no_contrastive", ["language"], ["stage1", "stage2", "stage3"]),
        ("ablation_no_lead_emb", ["language"], ["contrastive", "stage1", "stage2", "stage3"]),
        ("ablation_no_dynamic_input", ["language", "contrastive"], ["stage1", "stage2", "stage3"]),
        ("ablation_full_tuning", ["language", "contrastive", "stage1"], ["stage2", "stage3"]),
        ("ablation_no_replay", ["language", "contrastive", "stage1"], ["stage2", "stage3"]),
        ("ablation_no_curriculum", ["language", "contrastive"], ["joint"]),
    ],
)
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
    experiment, model, stages = trained_run  # noqa: RUF059
    held = {stage.name: {path.name for path in stage.folder.iterdir()} for stage in stages}
    assert {"parts.safetensors", "stage.json", "loss.csv"} <= held["stage1"] and "adapter" not in held["stage1"]
    assert {"parts.safetensors", "adapter"} <= held["stage3"]
    assert not any("last.ckpt" in names for names in held.values())
    parts = {
        stage.name: {key.split(".")[0] for key in load_file(stage.folder / "parts.safetensors")} for stage in stages
    }
    assert parts == {
        "language": {"fusion"},
        "contrastive": {"encoder"},
        "stage1": {"encoder", "connector", "fusion"},
        "stage2": {"encoder", "connector", "fusion"},
        "stage3": {"connector", "fusion"},
    }
    facts = json.loads((stages[3].folder / "stage.json").read_text())
    assert facts["steps"] == 3 and sum(facts["samples"].values()) == 48


def test_a_second_run_reuses_every_stage_and_ends_with_the_same_weights(trained_run, small_data, monkeypatch):
    experiment, model, stages = trained_run  # noqa: RUF059
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


@pytest.mark.parametrize("name", ["parts.safetensors", "adapter/adapter_model.safetensors"])
def test_a_bit_that_flipped_is_noticed_and_the_file_named(trained_run, small_data, tmp_path, name):
    experiment, _, stages = trained_run
    folder = tmp_path / "stage"
    shutil.copytree(stages[-1].folder, folder)
    stage = replace(stages[-1], folder=folder)
    load_stage(build_model(experiment, small_data), stage)
    content = bytearray((folder / name).read_bytes())
    content[-5] ^= 1  # within a tensor: the file can still be read
    (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{name}: is missing or not as it was written.*delete the folder"):
        load_stage(build_model(experiment, small_data), stage)


def test_a_stage_of_another_model_is_refused(trained_run, small_data, small_cache):
    _, _, stages = trained_run
    other = build_model(load("anyecg_chat", f"cache={small_cache}", "encoder.dim=48"), small_data)
    with pytest.raises(CheckpointError, match="this model needs"):
        load_stage(other, stages[2])


def test_a_second_run_waits_for_the_first_and_takes_its_stage(trained_run, small_data, tmp_path, monkeypatch, caplog):
    experiment, model, stages = trained_run
    stage = replace(stages[2], folder=tmp_path / stages[2].folder.name)
    work = tmp_path / f"{stage.folder.name}.partial"
    work.mkdir()
    began = []
    monkeypatch.setattr("anyecg.training.pipeline._train", lambda *_: began.append(1))
    caplog.set_level("INFO")
    with locked(work):
        second = threading.Thread(target=train, args=(experiment, stage, model, small_data, None))
        second.start()
        second.join(0.5)
        assert second.is_alive() and f"{work} is being built by process {os.getpid()}; waiting for it" in caplog.text
        shutil.copytree(stages[2].folder, work, dirs_exist_ok=True)
        os.replace(work, stage.folder)
    second.join(30)
    assert not second.is_alive() and not began and not work.exists()
    assert "stage1: finished meanwhile by another run" in caplog.text
    load_stage(model, stage)


def test_a_second_run_goes_on_where_one_that_was_killed_stopped(trained_run, small_data, tmp_path, monkeypatch):
    experiment, model, stages = trained_run
    stage, began = replace(stages[2], folder=tmp_path / "stage1-key"), []
    monkeypatch.setattr("anyecg.training.pipeline._train", lambda *arguments: began.append(arguments[2]))
    work = tmp_path / "stage1-key.partial"
    work.mkdir()
    with locked(work):
        second = threading.Thread(target=train, args=(experiment, stage, model, small_data, None))
        second.start()
        second.join(0.3)
        assert not began
    second.join(30)
    assert began == [work]


def test_the_work_folder_is_held_while_a_stage_trains_and_leaves_no_lock(
    trained_run, small_data, tmp_path, monkeypatch
):
    experiment, model, stages = trained_run
    stage = replace(stages[2], folder=tmp_path / "stage1-key")

    def trained(experiment, stage, work, *_):
        with (work / LOCK).open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (work / "stage.json").write_text("{}")
        _finish(work, stage)

    monkeypatch.setattr("anyecg.training.pipeline._train", trained)
    train(experiment, stage, model, small_data, None)
    assert [path.name for path in stage.folder.iterdir()] == ["stage.json"]
