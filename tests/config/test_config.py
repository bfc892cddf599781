"""Configuration: chains, slots, scales, overrides, and every error at once with file and key."""

from pathlib import Path

import pytest

from anyecg import config
from anyecg.registry import registry
from anyecg.types import ConfigError

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
SHIPPED = sorted(
    path for path in EXPERIMENTS.glob("*.yaml") if "name" in config.read(path) and "suite" not in config.read(path)
)
RECIPE = EXPERIMENTS / "anyecg_chat.yaml"


def diff(a, b, path=()):
    """Leaf keys where two plain containers differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        return set().union(*(diff(a.get(k), b.get(k), (*path, k)) for k in a.keys() | b.keys()))
    return {".".join(path)} if a != b else set()


@pytest.mark.parametrize("scale", ["cpu", "gpu", "paper"])
@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_every_shipped_experiment_loads_at_every_scale(path, scale):
    experiment = config.load(path, [f"scale={scale}"])
    assert experiment.scale == scale
    assert experiment.name == path.stem


@pytest.mark.parametrize("path", [p for p in SHIPPED if p.stem.startswith("ablation_")], ids=lambda p: p.stem)
def test_an_ablation_is_a_diff_of_one_or_two_keys(path):
    recipe, ablation = (config.to_dict(config.load(p)) for p in (RECIPE, path))
    keys = diff(recipe, ablation) - {"name", "description", "paper_row"}
    assert 1 <= len(keys) <= 2, keys
    assert ablation["paper_row"] != recipe["paper_row"]


def test_the_six_ablations_of_table_8_are_there():
    names = {p.stem.removeprefix("ablation_") for p in SHIPPED if p.stem.startswith("ablation_")}
    assert {"no_contrastive", "no_lead_emb", "no_dynamic_input", "full_tuning", "no_replay", "no_curriculum"} <= names


INTENDED = {  # of each ablation, all resolved keys that differ from the recipe's, at every scale
    "no_contrastive": {"curriculum"}, "no_lead_emb": {"encoder.lead_embedding"}, "no_dynamic_input": {"input.max_seconds", "input.max_ecgs"},
    "full_tuning": {"llm.tuning"}, "no_replay": {"replay"}, "no_curriculum": {"curriculum"},
}  # fmt: skip


def flat(values, path=()):
    """Dotted key -> value."""
    if not isinstance(values, dict):
        return {".".join(path): values}
    return {key: value for name, part in values.items() for key, value in flat(part, (*path, name)).items()}


@pytest.mark.parametrize("scale", ["cpu", "gpu", "paper"])
@pytest.mark.parametrize("name", INTENDED)
def test_only_the_intended_keys_of_an_ablation_differ_at_any_scale(name, scale):
    recipe, ablation = (
        flat(config.to_dict(config.load(path, [f"scale={scale}"])))
        for path in (RECIPE, EXPERIMENTS / f"ablation_{name}.yaml")
    )
    changed = {key for key in recipe.keys() | ablation.keys() if recipe.get(key) != ablation.get(key)}
    assert changed - {"name", "description", "paper_row"} == INTENDED[name]


@pytest.mark.parametrize(
    "overrides",
    [
        ["scale=cpu"],
        ["scale=gpu"],
        ["scale=paper"],
        ["llm=smollm2"],
        ["stages.stage2.lr_scale.encoder=0.5", "stages.stage2.clip=2"],
    ],
)
def test_the_joint_stage_follows_stage_2_in_all_that_it_does_not_say(overrides):
    """Its keys used to be copied one by one; weight decay was not, and was 100 times the recipe's at scale=paper."""
    stages = config.load(RECIPE, overrides).stages
    joint, stage2 = flat(config.to_dict(stages["joint"])), flat(config.to_dict(stages["stage2"]))
    differ = {key for key in joint.keys() | stage2.keys() if joint.get(key) != stage2.get(key)}
    assert all(key.partition(".")[0] in ("tasks", "replay", "samples") for key in differ), differ


def test_a_stage_like_one_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match="stages.joint.like: there is no stage 'stage22'; did you mean 'stage2'"):
        config.load(RECIPE, ["stages.joint.like=stage22"])
    with pytest.raises(ConfigError, match="stages.*like: is like itself"):
        config.load(RECIPE, ["stages.stage2.like=joint"])


def test_no_curriculum_visits_as_many_samples():
    recipe = config.load(RECIPE)
    joint = config.load(EXPERIMENTS / "ablation_no_curriculum.yaml").stages["joint"]
    assert joint.samples == sum(recipe.stages[name].samples for name in ("stage1", "stage2", "stage3"))


def test_the_papers_hyperparameters_at_scale_paper():
    """Table 3, as far as it is known here."""
    paper = config.load(RECIPE, ["scale=paper"])
    stages = [paper.stages[name] for name in paper.curriculum]
    assert paper.curriculum == ["contrastive", "stage1", "stage2", "stage3"]
    assert [stage.batch_size for stage in stages] == [256, 256, 64, 64]
    assert {(stage.lr, stage.weight_decay, stage.warmup) for stage in stages} == {(1e-4, 1e-4, 0.1)} and not any(
        stage.lr_scale for stage in stages
    )
    assert [stage.trains for stage in stages] == [["encoder"], ["encoder", "connector", "fusion", "markers"], ["encoder", "connector", "fusion", "markers", "llm"],
                                                  ["connector", "fusion", "markers", "llm"]]  # fmt: skip
    llm, encoder = paper.llm.config, paper.encoder.config
    assert (llm.path, llm.tuning, llm.lora.r, llm.lora.alpha, llm.lora.targets) == (
        "meta-llama/Meta-Llama-3-8B-Instruct",
        "lora",
        8,
        16,
        [],
    )
    assert (encoder.size, encoder.shape, encoder.patch, encoder.stem, encoder.lead_embedding) == (
        "base",
        (768, 12, 12, 3072),
        200,
        0,
        True,
    )
    assert (paper.trainer.strategy.name, paper.trainer.strategy.config.stage) == ("deepspeed", 2)


def test_the_resolved_configuration_loads_to_itself(tmp_path):
    experiment = config.load(EXPERIMENTS / "ablation_full_tuning.yaml", ["seed=3"])
    path = tmp_path / "config.yaml"
    path.write_text(config.dump(experiment))
    assert config.load(path) == experiment


def test_later_layers_win_and_a_changed_name_replaces_the_slot_whole(tmp_path):
    child = tmp_path / "child.yaml"
    child.write_text(f"base: {RECIPE}\nname: child\nencoder: {{size: small}}\n")
    assert config.load(child).encoder.config.size == "small"  # the file wins over the scale profile
    assert config.load(child, ["encoder.size=base"]).encoder.config.size == "base"
    swapped = config.load(child, ["encoder=timm"])
    assert swapped.encoder.name == "timm" and not hasattr(swapped.encoder.config, "size")
    assert config.load(child, ["llm=smollm2"]).llm.config.tuning == "lora"


def test_overrides_fill_a_slot_and_then_its_keys():
    llm = config.load(RECIPE, ["llm=smollm2", "llm.chat=plain"]).llm
    assert (llm.name, llm.config.chat) == ("smollm2", "plain")


def test_a_component_by_its_class(tmp_path):
    experiment = config.load(RECIPE, ["connector=anyecg.connectors.linear:Linear"])
    assert experiment.connector.component.__name__ == "Linear"


def test_the_experiment_is_read_only():
    with pytest.raises(AttributeError):
        config.load(RECIPE).seed = 1


def test_every_error_at_once_with_file_and_key(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(
        f"base: {RECIPE}\nname: wrong\nencodr: vit\nseed: many\nllm: {{name: tinny}}\nstages: {{stage1: {{lrr: 1, samples: few}}}}\n"
    )
    with pytest.raises(ConfigError) as error:
        config.load(path, ["evaluation.limt=3"])
    text = str(error.value)
    assert "5 problem" in text or "6 problem" in text
    for fragment in (
        "encodr: unknown key; did you mean 'encoder'?",
        "seed",
        "did you mean 'tiny'?",
        "stages.stage1.lrr",
        "stages.stage1.samples",
        "command line: evaluation.limt: unknown key; did you mean 'limit'?",
    ):
        assert fragment in text, text
    assert str(path) in text


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(ConfigError, match="did you mean .*ablation_no_replay.yaml"):
        config.load(EXPERIMENTS / "ablation_no_replays.yaml")
    with pytest.raises(ConfigError, match="scale 'huge'.*cpu, gpu, paper"):
        config.load(RECIPE, ["scale=huge"])
    loop = tmp_path / "loop.yaml"
    loop.write_text("base: loop.yaml\n")
    with pytest.raises(ConfigError, match="comes back to itself"):
        config.load(loop)
    loop.write_text("- a list\n")
    with pytest.raises(ConfigError, match="mapping"):
        config.load(loop)
    loop.write_text("a: [\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        config.load(loop)


def test_a_stage_that_is_not_defined():
    with pytest.raises(ConfigError, match="stage9"):
        config.load(RECIPE, ["curriculum=[stage1,stage9]"])


def test_an_interpolation_to_nowhere(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(f"base: {RECIPE}\nname: x\nseed: ${{nowhere}}\n")
    with pytest.raises(ConfigError, match="nowhere"):
        config.load(path)


def test_an_llm_may_have_a_profile_of_its_own_at_a_scale():
    recipe, companion = config.load(RECIPE), config.load(RECIPE, ["llm=smollm2"])
    assert companion.stages["stage2"].samples < recipe.stages["stage2"].samples
    assert config.load(RECIPE, ["llm=smollm2", "stages.stage2.samples=7"]).stages["stage2"].samples == 7


@pytest.mark.parametrize(("override", "told"), [
    ("tasks=[localisation]", "evaluation.tasks: no task is called 'localisation'; did you mean 'localization'?"),
    ("tasks=[]", "evaluation.tasks: empty; name at least one"),
    ("tasks=[report,report]", "evaluation.tasks: 'report' is there twice"),
    ("views=[signal,blin]", "evaluation.views: 'blin' is unknown; did you mean 'blind'?"),
    ("views=[]", "evaluation.views: empty; name at least one"),
    ("views=[signal,blind,signal]", "evaluation.views: 'signal' is there twice"),
    ("views=[blind]", "evaluation.views: the others are controls of 'signal'; add it"),
    ("split=tset", "evaluation.split: 'tset' is unknown; did you mean 'test'?"),
    ("limit=-1", "evaluation.limit: at least 1, not -1"), ("limit=0", "evaluation.limit: at least 1, not 0"),
    ("bootstrap=-3", "evaluation.bootstrap: at least 0, not -3"), ("max_new_tokens=0", "evaluation.max_new_tokens: at least 1, not 0"),
    ("batch_size=0", "evaluation.batch_size: at least 1, not 0"),
    ("corpora.ptbxl={}", "evaluation.corpora: ptbxl is there for training and evaluation already"),
    ("corpora.cspc2018={}", "did you mean 'cpsc2018'?"),
    ("corpora.a/b.name=csn", "evaluation.corpora.a/b: a key is part of file names and of ids; use letters, digits and . _ - + only"),
])  # fmt: skip
def test_what_cannot_be_evaluated_is_told_before_anything_is_built(override, told):
    with pytest.raises(ConfigError) as error:
        config.load(RECIPE, [f"evaluation.{override}"])
    assert f"command line: {told}" in str(error.value) or (told.startswith("did") and told in str(error.value)), str(
        error.value
    )


def test_every_wrong_key_of_the_evaluation_is_told_at_once():
    with pytest.raises(ConfigError) as error:
        config.load(RECIPE, ["evaluation.limit=0", "evaluation.split=tset", "evaluation.views=[blin]"])
    assert str(error.value).count("command line: evaluation.") == 4  # and no signal


def test_what_can_be_evaluated_is_what_the_evaluation_knows():
    known = list(registry("view").table())
    good = config.load(
        RECIPE,
        [
            "evaluation.limit=null",
            "evaluation.bootstrap=0",
            f"evaluation.views=[{','.join(known)},my_view:Mine]",
            "evaluation.tasks=[my_task:Mine]",
        ],
    )
    assert good.evaluation.limit is None and good.evaluation.tasks == ["my_task:Mine"]
