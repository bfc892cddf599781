"""MEIT's benchmark resolves at every scale, asks every run the same questions, and shares what can be shared."""

from pathlib import Path

import pytest

from anyecg.cli.suite import load
from anyecg.config import to_dict
from anyecg.types import ConfigError

SUITE = Path("experiments/meit_benchmark.yaml")


@pytest.fixture(scope="module")
def members():
    return {scale: load(SUITE, [f"scale={scale}"]).members for scale in ("cpu", "gpu", "paper")}


@pytest.mark.parametrize("scale", ["cpu", "gpu", "paper"])
def test_it_resolves_at_every_scale_and_asks_all_the_same(members, scale):
    experiments = {member.experiment.name: member.experiment for member in members[scale]}
    assert len(experiments) == 20 and all(one.scale == scale for one in experiments.values())
    first = experiments["meit_mimic"]
    asked = to_dict(first.evaluated_tasks()["report"])
    assert asked["corpora"] == ["mimic", "ptbxl"] and asked["reserved"]
    for name, one in experiments.items():
        without = {"phrasing": ""} if name.endswith("no_instructions") else {}
        assert to_dict(one.evaluated_tasks()["report"]) == asked | without, name
        trained = ["ptbxl"] if name == "meit_ptbxl" else ["mimic"]
        assert one.tasks["report"].config.corpora == trained and not one.tasks["report"].config.reserved
        assert one.stages["meit"] == first.stages["meit"] or name in (
            "meit_mimic_tokens",
            "meit_mimic_cross",
            "meit_mimic_trained_blind",
        )


def test_backbones_are_tiny_ones_of_their_families_without_weights_and_the_papers_with_them(members):
    llms = {scale: {m.experiment.name: m.experiment.llm for m in found} for scale, found in members.items()}
    assert {llms["cpu"][f"meit_{name}"].config.family for name in ("bloom", "opt", "gpt_j", "gpt_neo", "gpt_neox")} == {
        "bloom", "opt", "gptj", "gpt_neo", "gpt_neox"}  # fmt: skip
    assert all(llm.name in ("tiny", "tiny_family") and llm.config.chat == "tulu" for llm in llms["cpu"].values())
    assert llms["paper"]["meit_mimic"].name == "llama-2-7b" and llms["paper"]["meit_size_3"].name == "llama-2-70b-chat"
    assert llms["paper"]["meit_bloom"].config.lora.r == 64 and llms["paper"]["meit_bloom"].name == "bloom-7b1"


def test_a_figure_of_no_experiment_is_told(tmp_path):
    text = SUITE.read_text().replace("meit_benchmark/", f"{SUITE.resolve().parent}/meit_benchmark/")
    (tmp_path / "suite.yaml").write_text(text.replace("runs: [meit_ptbxl,", "runs: [meit_ptbx,"))
    with pytest.raises(ConfigError, match="figures.zero_shot.runs: no experiment .* 'meit_ptbx'.*meit_ptbxl"):
        load(tmp_path / "suite.yaml")
    (tmp_path / "suite.yaml").write_text(text.replace("over: parameters", "over: size"))
    with pytest.raises(ConfigError, match="figures.scaling_mimic.over: empty or 'parameters'"):
        load(tmp_path / "suite.yaml")
