"""The files an experiment is merged from: what cannot be read, and what a scale's profile leaves to its root."""

from pathlib import Path

import pytest

from anyecg import config
from anyecg.types import ConfigError

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
RECIPE = EXPERIMENTS / "anyecg_chat.yaml"


@pytest.mark.parametrize(("text", "words"), [
    ("base: [1]\nname: x\n", "base: the name of one experiment file, not [1]"),
    ("base: anyecg_chatt.yaml\n", "mine.yaml: base: {tmp}/anyecg_chatt.yaml: no such file"),
    ("name: x\nseed: 1\nseed: 2\n", "the key 'seed' is given twice"), ("name: x\nllm:\n  chat: auto\n  chat: plain\n", "the key 'chat' is given twice"),
    ("name: 2020-13-45\n", "not valid YAML"), ("[1]: 2\n", "not valid YAML"),
])  # fmt: skip
def test_files_that_say_nothing_clear(tmp_path, text, words):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        config.load(path)
    assert words.format(tmp=tmp_path) in str(error.value) and str(path) in str(error.value)


def test_what_is_no_text_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes("name: é".encode("latin-1"))
    with pytest.raises(ConfigError, match="mine.yaml: cannot be read as a text file"):
        config.load(path)
    (tmp_path / "config.yaml").write_text("name: x\n")
    with pytest.raises(
        ConfigError, match="is a folder, not an experiment file; give a file of it, such as .*config.yaml"
    ):
        config.load(tmp_path)


def test_yamls_own_merge_key_is_no_duplicate(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("stages:\n  a: &a {samples: 7, lr: 1}\n  b: {<<: *a, samples: 8}\n")
    assert config.read(path)["stages"]["b"] == {"samples": 8, "lr": 1}


@pytest.mark.parametrize("override", ["nonsense", "=5", "seed=[1"])
def test_an_override_that_cannot_be_read(override):
    with pytest.raises(ConfigError, match="command line: cannot read .*; write key=value"):
        config.override_layer(override)


@pytest.fixture
def own(tmp_path):
    """A copy of the recipe, with scale/ beside it, in which a line is another."""

    def write(old, new):
        (tmp_path / "scale").symlink_to(EXPERIMENTS / "scale")
        path = tmp_path / "mine.yaml"
        path.write_text(RECIPE.read_text().replace(old, new))
        return path

    return write


def test_a_profile_changes_no_component_that_the_root_names(own):
    experiment = config.load(own("connector: {name: mlp}", "connector: {name: mlp}\nllm: {name: smollm2}"))
    assert experiment.llm.name == "smollm2" and experiment.encoder.config.size == "tiny"
    # scale/cpu+smollm2.yaml
    assert experiment.stages["stage2"].samples == config.load(RECIPE, ["llm=smollm2"]).stages["stage2"].samples


def test_a_profiles_settings_are_not_given_to_another_component(own):
    encoder = config.load(own("encoder: {name: vit, lead_embedding: true}", "encoder: timm")).encoder
    assert encoder.name == "timm" and encoder.config == encoder.component.Config()


def test_a_scale_without_profiles_is_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(config.dump(config.load(RECIPE, ["scale=gpu"])))
    # a resolved configuration, as a run leaves it
    assert config.load(path).scale == config.load(path, ["scale=gpu"]).scale == "gpu"
    with pytest.raises(ConfigError, match=f"scale 'huge': there is no folder {tmp_path}/scale"):
        config.load(path, ["scale=huge"])
    with pytest.raises(ConfigError, match="did you mean paper"):
        config.load(RECIPE, ["scale=papr"])


@pytest.mark.parametrize("override", ["stages.language.tasks={report:1}", "stages={language: {lr:1e-4}}"])
def test_a_missing_blank_after_a_colon_is_named(override):
    with pytest.raises(ConfigError, match=r"YAML wants a blank after the colon: '(report: 1|lr: 1e-4)'"):
        config.override_layer(override)
