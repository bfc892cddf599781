"""Wrong values of every kind: all told in one message with key and place, before anything is built or written."""

import pytest

from anyecg import config
from anyecg.run import main
from anyecg.types import ConfigError

RECIPE = "experiments/anyecg_chat.yaml"

WRONG = {  # an override -> what the message says of its key
    "stages.contrastive.view=blind": "a contrastive stage needs the ECG itself",
    "stages.stage1.objective=guess": "stages.stage1.objective.name: no objective is called 'guess' (known: answer, contrastive",
    "stages.contrastive.tokens=100": "stages.contrastive.tokens: a contrastive stage reads no tokens",
    "stages.contrastive.lead_dropout=0.1": "stages.contrastive.lead_dropout: is now objective.lead_dropout",
    "stages.contrastive.objective.lead_dropout=2": "stages.contrastive.objective.lead_dropout: at least 0 and at most 1, not 2",
    "stages.stage1.trains=[encodr]": "'encodr' is unknown; did you mean 'encoder'?",
    "stages.stage1.lr_scale.encodr=2": "'encodr' is unknown; did you mean 'encoder'?",
    "stages.stage1.warmup=5": "at least 0 and at most 1, not 5.0",
    "stages.stage1.lr=.nan": "above 0, not nan",
    "stages.stage2.view=sgnal": "'sgnal' is unknown; did you mean 'signal'?",
    "stages.stage2.on_spike=wrn": "'wrn' is unknown; did you mean 'warn'?",
    "stages.stage2.spike=0.5": "0.5 times the median is no spike",
    "stages.stage3.batch_size=0": "at least 1, not 0",
    "stages.stage3.tasks.multi_ecgs=1": "no task has a pool called 'multi_ecgs'; did you mean 'multi_ecg'?",
    "stages.stage3.lr_scale.encoder=2": "the stage does not train the group 'encoder'",
    "encoder.size=bse": "'bse' is unknown; did you mean 'base'?",
    "encoder.patch=7": "do not divide a clip of 1000",
    "encoder.dropout=2": "at least 0 and below 1, not 2.0",
    "encoder.dim=-4": "at least 1, not -4",
    "encoder.stem=-1": "at least 0 channels, not -1",
    "llm.tuning=lorra": "'lorra' is unknown; did you mean 'lora'?",
    "llm.chat=plane": "'plane' is unknown; did you mean 'plain'?",
    "llm.lora.r=0": "at least 1, not 0",
    "llm.vocab=100": "at least 261, not 100",
    "text_encoder.device=gpu": "torch has no device 'gpu'",
    "corpora.mimic.patients=0": "at least 1, not 0",
    "corpora.ptbxl.records=records50": "Invalid value 'records50'",
    "corpora.european_st_t=[1]": "expected the name of a component, or keys and values, got [1]",
    "tasks.localization.pools=[short]": "'short' is unknown",
    "tasks.ecg_qa.form=words": "'words' is unknown",
    "input.max_seconds=0": "above 0, not 0.0",
    "replay=-1": "at least 0, not -1.0",
    "seed=many": "could not be converted to Integer",
    "curriculum=[contrastiv,stage1,stage2,stage3]": "'contrastiv' is unknown; did you mean 'contrastive'?",
    "trainer.accelerator=gpux": "'gpux' is unknown; did you mean 'gpu'?",
    "trainer.precision=bf17-mixed": "'bf17-mixed' is unknown; did you mean 'bf16-mixed'?",
    "trainer.devices=0": "at least 1, not 0",
    "trainer.checkpoint_every=0": "at least 1, not 0",
    "trainer.strategy=0": "expected the name of a component, or keys and values, got 0",
}


def test_all_mistakes_are_told_at_once_and_nothing_is_written(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    assert main([RECIPE, *WRONG, f"output={tmp_path}/runs", f"cache={tmp_path}/cache"]) == 2
    told = capsys.readouterr().err.splitlines()
    for override, words in WRONG.items():
        key = override.partition("=")[0]
        assert any(line.startswith(f"  command line: {key}") and words in line for line in told), (override, told)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("override", "words"), [
    ("corpora=mimic", "corpora: expected names, each with keys and values, got 'mimic'"), ("stages=5", "stages: expected names, each with keys and values, got 5"),
    ("encoder=[1]", "encoder: expected the name of a component"), ("encoder=3", "encoder: expected the name of a component"),
    ("encoder=json:JSONDecoder", "'json:JSONDecoder' is no component"), ("encoder=:ViT", "the module's full name"), ("llm.name=5", "llm.name: expected the name"),
])  # fmt: skip
def test_values_of_another_shape_are_one_problem(override, words):
    with pytest.raises(ConfigError, match="1 problem") as error:
        config.load(RECIPE, [override])
    assert f"command line: {words}" in str(error.value) or words in str(error.value)


def test_what_is_wrong_hides_nothing_else_and_has_no_echo():
    with pytest.raises(ConfigError) as error:
        config.load(
            RECIPE,
            [
                "stages.stage1.trains=encoder",
                "stages.stage1.batch_size=0",
                "stages.stage1.clip=-1",
                "stages.stage1.lrr=1",
            ],
        )
    told = [line.split(": ")[1] for line in str(error.value).splitlines()[1:]]
    assert sorted(told) == [f"stages.stage1.{key}" for key in ("batch_size", "clip", "lrr", "trains")]
