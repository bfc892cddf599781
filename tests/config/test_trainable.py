"""What cannot be trained as it is put together is told with the configuration, not when its stage begins."""

import pytest

from anyecg import config
from anyecg.types import ConfigError

RECIPE = "experiments/anyecg_chat.yaml"


@pytest.mark.parametrize(("overrides", "lines"), [
    (["corpora=null"], ["command line: corpora: there is none to train on"]),
    (["tasks.multi_ecg=null"], ["stages.language.tasks.multi_ecg: the experiment's tasks do not make this pool",
                                "stages.stage3.tasks.multi_ecg: the experiment's tasks do not make this pool"]),
    (["tasks.localization.pools=[localization_short]"], ["stages.stage2.tasks.localization_long: the experiment's tasks do not make this pool",
                                                         "stages.stage3.replay.localization_long: the experiment's tasks do not make this pool"]),
    (["corpora.mit_bih_arrhythmia=null", "corpora.mit_bih_st=null", "corpora.european_st_t=null", "curriculum=[stage1]"],
     ["stages.language.tasks.localization_short: no corpus of this experiment gives it: it asks of corpora with annotated beats: add"]),
    (["stages.stage2.trains=[llm,llm_weights]", "llm.tuning=full"], ["command line: stages.stage2.trains: with llm.tuning: full, llm and llm_weights are the same"]),
    (["stages.stage1.trains=[]", "stages.stage1.tasks.report=0"], ["stages.stage1.trains: the stage trains nothing", "stages.stage1.tasks: the stage asks nothing"]),
    (["stages.stage1.micro_batch=5"], ["command line: stages.stage1.micro_batch: batch_size 16 is not a multiple of micro_batch 5"]),
    (["trainer.strategy=deepspeed", "stages.stage2.on_spike=skip"], ["command line: stages.stage2.on_spike: trainer.strategy: deepspeed cannot leave a step out"]),
])  # fmt: skip
def test_parts_that_do_not_go_together(overrides, lines):
    with pytest.raises(ConfigError, match=f"{len(lines)} problem") as error:
        config.load(RECIPE, overrides)
    for line in lines:
        assert line in str(error.value)


def test_only_what_is_trained_is_looked_at():
    assert config.load(RECIPE, ["stages.joint.trains=[]", "stages.language.trains=[]", "llm=smollm2"]).curriculum
    # a dataset is built of it
    assert [*config.load(RECIPE, ["tasks.multi_ecg=null"], trained=False).pools()][:2] == [
        "report",
        "localization_short",
    ]


def test_an_llm_that_learns_in_the_run_needs_its_stage(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text("name: small\ncorpora: {mimic: {}}\nllm: tiny\n")
    with pytest.raises(ConfigError, match="1 problem.*\n.*stages.language: is missing"):
        config.load(path)
