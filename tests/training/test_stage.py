"""What every stage shares: schedule, decay, and accumulated steps that are all taken."""

import re

import lightning as L
import numpy as np
import pytest
import torch

from anyecg.config.schema import StageConfig
from anyecg.objectives.answer import AnsweringStage
from anyecg.training.engines.fsdp import FSDP
from anyecg.training.stage import cosine, linear
from anyecg.types import CheckpointError
from tests.conftest import collator, make_item, make_model


def test_the_schedule_rises_then_falls_to_zero():
    factors = [cosine(step, 100, 0.1) for step in range(100)]
    assert factors[0] == pytest.approx(0.1) and factors[9] == pytest.approx(1.0) and max(factors) == 1.0
    assert factors[10:] == sorted(factors[10:], reverse=True) and factors[-1] < 0.001


def test_decay_is_on_matrices_only():
    stage = AnsweringStage(
        make_model(), StageConfig(trains=["encoder", "connector", "markers", "llm"], weight_decay=0.1), 10
    )
    groups = stage.configure_optimizers()["optimizer"].param_groups
    assert {p.ndim >= 2 for g in groups if g["weight_decay"] > 0 for p in g["params"]} == {True}
    assert {p.ndim < 2 for g in groups if g["weight_decay"] == 0 for p in g["params"]} == {True}
    assert sum(p.numel() for g in groups for p in g["params"]) == sum(
        p.numel() for p in stage.parameters() if p.requires_grad
    )
    names = {id(p): name.removeprefix("model.") for name, p in stage.named_parameters()}
    decayed, others = (
        {names[id(p)] for g in groups if bool(g["weight_decay"]) == decay for p in g["params"]}
        for decay in (True, False)
    )
    assert {
        "encoder.embed.cls",
        "encoder.embed.position",
        "encoder.embed.lead",
        "fusion.markers",
    } <= decayed  # tables of vectors
    assert all(
        name.endswith(".weight")
        for name in decayed - {"encoder.embed.cls", "encoder.embed.position", "encoder.embed.lead", "fusion.markers"}
    )
    assert {"encoder.norm.weight", "encoder.norm.bias", "connector.layers.0.bias"} <= others and not others & decayed


def test_the_scale_of_a_group_multiplies_its_learning_rate():
    stage = AnsweringStage(
        make_model(), StageConfig(trains=["encoder", "connector"], lr=1.0, lr_scale={"encoder": 0.1}), 10
    )
    schedule = stage.configure_optimizers()
    assert {round(g["initial_lr"], 3) for g in schedule["optimizer"].param_groups} == {0.1, 1.0}


def trained(accumulate: int, batch: int) -> dict:
    torch.manual_seed(0)
    model = make_model(dropout=0.0)
    stage = AnsweringStage(model, StageConfig(trains=["connector"], lr=1e-2, clip=0.0), 4)
    items = [make_item(f"q{i}", seed=i) for i in range(16)]
    loader = torch.utils.data.DataLoader(items, batch_size=batch, collate_fn=collator(model))
    trainer = L.Trainer(
        max_steps=4,
        accumulate_grad_batches=accumulate,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(stage, loader)
    assert trainer.global_step == 4
    return {name: p.detach() for name, p in model.connector.named_parameters()}


def test_accumulated_steps_equal_whole_ones():
    whole, parts = trained(1, 4), trained(2, 2)
    for name in whole:
        torch.testing.assert_close(whole[name], parts[name], atol=1e-4, rtol=1e-3)


def test_checkpoints_hold_only_what_trains():
    stage = AnsweringStage(make_model(), StageConfig(trains=["connector"]), 4)
    checkpoint = {"state_dict": stage.state_dict()}
    stage.on_save_checkpoint(checkpoint)
    held = set(checkpoint["state_dict"])
    assert {f"model.{name}" for name in stage.model.groups()["connector"]} <= held
    assert not any("q_proj" in name or "encoder.blocks" in name for name in held)


@pytest.fixture
def stage_with_lora():
    return AnsweringStage(make_model(), StageConfig(trains=["connector", "llm"]), 4)


def test_a_checkpoint_that_lacks_what_learns_is_neither_written_nor_read(stage_with_lora):
    """Lightning, told to load what there is (strict_loading), would go on with LoRA as it began."""
    lost = next(name for name in stage_with_lora.learning() if "lora_A" in name)
    checkpoint = {
        "state_dict": {name: tensor for name, tensor in stage_with_lora.state_dict().items() if "lora_" not in name}
    }
    for hook in (stage_with_lora.on_save_checkpoint, stage_with_lora.on_load_checkpoint):
        with pytest.raises(
            CheckpointError, match=re.escape(f"'{lost}', which this stage trains, is not in the checkpoint")
        ):
            hook(checkpoint)


def test_names_in_a_checkpoint_are_those_without_the_engines_wrapper(stage_with_lora):
    stage_with_lora.engine = FSDP(None, None)
    state, learning = stage_with_lora.state_dict(), stage_with_lora.learning().keys()

    class Wrapper(torch.nn.Module):
        def __init__(self, module):
            super().__init__()
            self._fsdp_wrapped_module = module

    layers = stage_with_lora.model.llm.lm.model.layers
    for number, layer in enumerate(layers):
        layers[number] = Wrapper(layer)
    assert any("_fsdp_wrapped_module" in name for name, _ in stage_with_lora.named_parameters())
    checkpoint = {"state_dict": state}
    stage_with_lora.on_save_checkpoint(checkpoint)
    assert stage_with_lora.learning().keys() == learning and learning <= checkpoint["state_dict"].keys()


def test_a_linear_decay_after_the_warm_up():
    factors = [linear(step, 100, 0.03) for step in range(100)]
    assert factors[:3] == pytest.approx([1 / 3, 2 / 3, 1]) and factors[3] == 1
    assert np.diff(factors[3:]) == pytest.approx(-1 / 97) and factors[-1] == pytest.approx(1 / 97)
