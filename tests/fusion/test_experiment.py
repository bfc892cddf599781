"""The experiment of the other fusion: a diff of two keys from the recipe, at every scale; run to its table."""

import json

import pytest
import torch
from safetensors.torch import load_file

from anyecg import config
from anyecg.cli.run import run
from anyecg.training.planning import plan
from anyecg.training.projection import outline, project
from anyecg.types import ConfigError
from tests.conftest import SMALL

CROSS, RECIPE = "experiments/fusion_cross.yaml", "experiments/anyecg_chat.yaml"


@pytest.mark.parametrize("scale", ["cpu", "gpu", "paper"])
def test_two_keys_from_the_recipe(scale):
    ours, theirs = (config.to_dict(config.load(path, [f"scale={scale}"])) for path in (CROSS, RECIPE))
    assert {key for key in ours if ours[key] != theirs[key]} == {"name", "paper_row", "connector", "fusion"}


def test_in_the_place_of_the_recipe_s_fusion_on_the_command_line():
    experiment = config.load(RECIPE, ["fusion=cross", "connector=resampler"])
    assert "fusion" in experiment.stages["stage1"].trains
    assert config.load(RECIPE, ["fusion=cross"]).connector.name == "mlp"
    with pytest.raises(ConfigError, match="no fusion is called 'crossed'.*did you mean 'cross'"):
        config.load(RECIPE, ["fusion=crossed"])
    with pytest.raises(
        ConfigError,
        match="connector: 'tests.fusion.kv_outside:PooledConnector' gives 'kv' and the fusion 'tokens' takes 'tokens'",
    ):
        config.load(RECIPE, ["connector=tests.fusion.kv_outside:PooledConnector"])


def test_stages_before_the_fusion_are_shared_and_the_others_are_not():
    ours, theirs = ({stage.name: stage.key for stage in plan(config.load(path), "data")} for path in (CROSS, RECIPE))
    assert {name for name in ours if ours[name] == theirs[name]} == {"language", "contrastive"}


def test_the_papers_scale_is_planned_without_its_weights():
    experiment = config.load(CROSS, ["scale=paper", "fusion.every=4"])
    model = outline(experiment)
    assert {p.device.type for p in model.parameters()} == {"meta"} and len(model.fusion.blocks) == 8
    counts = {group: sum(p.numel() for p in named.values()) for group, named in model.groups().items()}
    block = 2 * 4096 * 512 + 4096 * 1024 + 2 * 4096 * 16384 + 6 * 4096 + 2
    assert (
        counts["fusion"] == 8 * block + 16 * 4096
        and counts["markers"] == 8192
        and counts["llm_weights"] == 8_030_261_248
    )
    stages = {stage.name: stage for stage in project(experiment).stages}
    # an ECG is two positions
    assert stages["stage1"].trains["fusion"] == counts["fusion"] and stages["stage1"].cost.tokens < 100


@pytest.mark.slow
def test_it_runs_to_its_table(small_cache, tmp_path):
    experiment = config.load(
        CROSS,
        [
            *SMALL,
            f"cache={small_cache}",
            f"output={tmp_path}",
            "evaluation.tasks=[multi_ecg]",
            "evaluation.limit=8",
            "evaluation.bootstrap=5",
        ],
    )
    folder = run(experiment, "cross")
    facts = json.loads((folder / "stages/stage1/stage.json").read_text())
    assert facts["trainable"]["fusion"] > 0 and (folder / "table.md").exists()
    parts = load_file(folder / "stages/stage3/parts.safetensors")
    assert torch.count_nonzero(parts["fusion.blocks.0.gate"]) == 1 and not any(name.startswith("llm") for name in parts)
