"""Stages before they are trained: their keys, and that every documented command's devices can share each stage's
steps.
"""

import importlib
import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from anyecg import config
from anyecg.config.schema import StageConfig
from anyecg.data.loading.loader import samples_a_pass
from anyecg.evaluation.report import head, reused_despite
from anyecg.run import main
from anyecg.training.pipeline import log_reuse
from anyecg.training.planning import check_batches, plan, stage_names
from anyecg.types import ConfigError
from tests.conftest import SMALL

ROOT = Path(__file__).parents[2]
RECIPE = "experiments/anyecg_chat.yaml"
DOC = (ROOT / "docs" / "multi_node.md").read_text()


def documented():
    """(arguments of anyecg.run, processes that the launcher starts or None) of each command in the fenced blocks of
    docs/multi_node.md.
    """
    for block in re.findall(r"```bash\n(.*?)```", DOC, re.S):
        nodes = re.search(r"--(?:nodes=|nnodes )(\d+)", block)
        each = re.search(r"--(?:ntasks-per-node=|nproc-per-node )(\d+)", block)
        processes = int(nodes[1] if nodes else 1) * int(each[1]) if each else None
        for line in block.replace("\\\n", " ").splitlines():
            if "-m anyecg.run " in line:
                yield (
                    shlex.split(
                        line.partition("-m anyecg.run ")[2].replace("$SLURM_JOB_NUM_NODES", nodes[1] if nodes else "")
                    ),
                    processes,
                )


COMMANDS = list(documented())


def test_one_node_torchrun_and_slurm_are_documented():
    assert len(COMMANDS) == 4 and [processes for _, processes in COMMANDS] == [None, 8, 16, 16]


@pytest.mark.parametrize(("arguments", "processes"), COMMANDS)
def test_every_stage_of_a_documented_command_goes_evenly_to_its_devices(arguments, processes):
    experiment = config.load(*arguments[:1], arguments[1:])
    devices = experiment.trainer.devices * experiment.trainer.num_nodes
    assert processes in (None, devices)
    check_batches(experiment)
    for name in stage_names(experiment):
        stage = experiment.stages[name]
        micro = samples_a_pass(stage, devices)
        if stage.tokens is not None:  # cut into as many passes as it takes, a multiple of the devices
            assert micro is None and stage.batch_size >= devices
            continue
        assert stage.batch_size % (micro * devices) == 0
        assert micro == min(stage.micro_batch or stage.batch_size, stage.batch_size // devices)


@pytest.mark.parametrize(
    ("settings", "devices", "samples"),
    [
        ({"batch_size": 64, "micro_batch": 8}, 1, 8),
        ({"batch_size": 64, "micro_batch": 8}, 8, 8),
        ({"batch_size": 64, "micro_batch": 8}, 16, 4),
        ({"batch_size": 64, "micro_batch": 8}, 64, 1),
        ({"batch_size": 64}, 16, 4),
        ({"batch_size": 64, "tokens": 4096}, 16, None),
    ],
)
def test_samples_a_pass(settings, devices, samples):
    assert samples_a_pass(StageConfig(**settings), devices) == samples


@pytest.mark.parametrize(
    ("settings", "devices", "words"),
    [
        (
            {"batch_size": 64, "micro_batch": 8},
            128,
            "batch_size 64 is not a multiple of micro_batch 8 times 128 device",
        ),
        (
            {"batch_size": 96, "micro_batch": 8},
            16,
            "batch_size 96 is not a multiple of micro_batch 8 times 16 device",
        ),  # 6 each are no part of 8
        ({"batch_size": 16, "micro_batch": 32}, 1, "batch_size 16 is not a multiple of micro_batch 32 times 1 device"),
        ({"batch_size": 64}, 3, "batch_size 64 is not a multiple of micro_batch 21 times 3 device"),
        (
            {"batch_size": 64, "micro_batch": 8, "objective": "contrastive"},
            16,
            "micro_batch 8 times 16",
        ),  # its pairs are each other's negatives
        ({"batch_size": 8, "tokens": 4096}, 16, "batch_size 8 has no sample for each of 16 devices"),
    ],
)
def test_a_remainder_is_an_error(settings, devices, words):
    with pytest.raises(ConfigError, match=words):
        samples_a_pass(StageConfig(**settings), devices)


@pytest.mark.parametrize("option", [[], ["--plan"]])
def test_all_uneven_stages_are_told_before_the_first_is_trained(option, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("anyecg.evaluation.run.data_of", lambda *_: pytest.fail("went on"))
    assert main([RECIPE, *SMALL, "trainer.devices=3", f"output={tmp_path}", f"cache={tmp_path}", *option]) == 2
    told = capsys.readouterr().err
    assert all(
        re.search(rf"stages\.{name}\.(micro_batch|batch_size): batch_size 16", told)
        for name in ("language", "contrastive", "stage1", "stage2", "stage3")
    )
    assert not list(tmp_path.iterdir())


def keys(*overrides):
    return {stage.name: stage.key for stage in plan(config.load(RECIPE, [*SMALL, *overrides]), "data")}


def test_how_a_step_is_cut_is_in_no_key_but_where_its_samples_are_compared():
    base = keys()
    assert (
        base
        == keys("stages.stage2.micro_batch=null", "stages.stage2.tokens=800")
        == keys("stages.stage2.micro_batch=4")
        == keys("stages.stage2.micro_batch=null")
    )
    assert base["contrastive"] != keys("stages.contrastive.micro_batch=4")["contrastive"]


@pytest.mark.parametrize(
    "override",
    ["llm.vocab=600", "llm.context=900", "llm.chat=plain", "connector=linear", "input.max_seconds=30", "llm.dim=64"],
)
def test_a_contrastive_stage_depends_on_nothing_of_the_language_model(override):
    """Pairs are drawn at random, so neither a tokenizer nor a context says which meet."""
    other, base = keys(override), keys()
    assert other["contrastive"] == base["contrastive"] and other["stage1"] != base["stage1"]


@pytest.mark.parametrize(
    "override",
    [
        "encoder.stem=10",
        "text_encoder.dim=32",
        "stages.contrastive.objective.lead_dropout=0.1",
        "stages.contrastive.batch_size=8",
        "seed=1",
    ],
)
def test_a_contrastive_stage_depends_on_what_it_computes_with(override):
    assert keys(override)["contrastive"] != keys()["contrastive"]


README = (ROOT / "README.md").read_text()


@pytest.fixture
def users_encoder(tmp_path, monkeypatch):
    """The encoder of README in a file of the user's: `plans(edit, *overrides)` gives the stages after an edit of the
    file.
    """
    code = re.search(r"```python\n# my_encoder\.py\n(.*?)```", README, re.S)[1]
    monkeypatch.syspath_prepend(tmp_path)

    def plans(edit=lambda code: code, *overrides):
        sys.modules.pop("my_encoder", None)
        (tmp_path / "my_encoder.py").write_text(edit(code))
        importlib.invalidate_caches()
        own = [o for o in SMALL if not o.startswith("encoder.")]
        return plan(
            config.load(RECIPE, [*own, "encoder=my_encoder:ConvEncoder", f"cache={tmp_path}/cache", *overrides]), "data"
        )

    yield plans
    sys.modules.pop("my_encoder", None)


def edited(code):
    return code.replace("self.net(signal)", "self.net(signal).tanh()").replace(
        "self.net(clips)", "self.net(clips).tanh()"
    )


def keep(stage):
    """As if it had been trained."""
    stage.folder.mkdir(parents=True)
    (stage.folder / "stage.json").write_text(
        json.dumps({"name": stage.name, "key": stage.key, "meaning": stage.meaning, "code": stage.code})
    )


def test_an_edited_encoder_trains_anew_and_a_reworded_one_does_not(users_encoder):
    base = users_encoder()
    reworded = users_encoder(
        lambda code: code.replace("A strided convolution over each clip.", "Strided convolutions.")
    )
    assert [stage.key for stage in reworded] == [stage.key for stage in base]
    for one, other in zip(base, users_encoder(edited), strict=True):
        assert (one.key == other.key) == (one.name == "language"), one.name  # which sees words only
        assert one.meaning == other.meaning


def test_a_stage_is_reused_despite_its_code_where_the_experiment_says_so(users_encoder, caplog):
    base = users_encoder()
    for stage in base[:3]:
        keep(stage)
    again = users_encoder(edited)
    assert [stage.done for stage in again] == [True, False, False, False, False]
    assert again[1].earlier()[0] == base[1].folder and again[1].changed(
        base[1].earlier() or {"code": base[1].code}
    ) == ["my_encoder"]
    reused = users_encoder(edited, "reuse_despite=[code]")
    assert [stage.folder for stage in reused[:3]] == [stage.folder for stage in base[:3]] and [
        stage.done for stage in reused
    ] == [True, True, True, False, False]
    assert [stage.despite for stage in reused] == [(), ("my_encoder",), ("my_encoder",), (), ()]
    assert reused[3].key not in (base[3].key, again[3].key)  # new code over old parents
    log_reuse(reused[1])
    assert "contrastive: reused although its code has changed since (my_encoder), as reuse_despite says" in caplog.text
    assert "contrastive (my_encoder); stage1 (my_encoder)" in head(
        Path("run"), config.load(RECIPE, SMALL), {"tasks": {}, "reused_despite_code": reused_despite(reused)}
    )
    assert reused_despite(reused) == {"contrastive": ["my_encoder"], "stage1": ["my_encoder"]} and not reused_despite(
        base
    )


def test_what_may_differ_is_checked():
    with pytest.raises(ConfigError, match="reuse_despite: 'seed' is unknown"):
        config.load(RECIPE, ["reuse_despite=[seed]"])
