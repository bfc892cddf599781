"""Engines: every one gives the weights and the loss of a single process, and goes on from any other's checkpoint."""

import csv
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from lightning.pytorch.accelerators import CPUAccelerator
from safetensors.torch import load_file

from anyecg import config
from anyecg.config.schema import InputConfig, StageConfig, TrainerConfig, to_dict
from anyecg.data.loading.loader import StageData
from anyecg.data.loading.sampling import Turns
from anyecg.objectives.contrastive import sigmoid_loss
from anyecg.training.assembly import build_model
from anyecg.training.engines import engines as registered
from anyecg.training.engines.base import Engine
from anyecg.training.machine import check_machine
from anyecg.training.planning import plan
from anyecg.training.position import moved
from anyecg.types import ConfigError
from tests.conftest import SMALL
from tests.training.engines import two_processes as engines

RECIPE = "experiments/anyecg_chat.yaml"
STEPS = [
    "stages.stage2.validate.every=1",
    "stages.stage2.keep=best",
    "stages.contrastive.validate.every=1",
    "stages.stage2.samples=64",
    "stages.stage2.micro_batch=4",
    "stages.contrastive.micro_batch=null",
    "stages.contrastive.objective.lead_dropout=0",
]
TWO = ["trainer.devices=2", "trainer.accelerator=cpu"]
ZERO = ["trainer.strategy=tests.training.engines.two_processes:DeepSpeedOnCPU"]
FSDP = ["trainer.strategy=tests.training.engines.two_processes:FSDPOnCPU"]
TOLERANCE = 2e-5  # of weights after four steps of AdamW at 1e-3, and relative, of losses; float32 sums in another order


def trainer(*overrides):
    return config.load(RECIPE, overrides).trainer


def with_engine(strategy="auto", **settings):
    return config.build(TrainerConfig, {"strategy": strategy, **settings}, "test")


def engine(strategy, **settings):
    cfg = with_engine(strategy, **settings)
    return cfg.strategy.build(cfg)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["trainer.strategy=deepspead"], "no engine is called 'deepspead'; did you mean 'deepspeed'"),
        (["trainer.strategy=deepspeed_stage_2"], "did you mean 'deepspeed'"),
        (["trainer.deepspeed.stage=3"], "command line: trainer.deepspeed.stage: is now trainer.strategy.stage"),
        (["trainer.strategy=single", "trainer.devices=2"], "single runs on one device, not 2"),
        (
            ["trainer.precision=bf16-true", "trainer.devices=2", "trainer.strategy=ddp"],
            "bf16-true rounds small updates of the weights away",
        ),
        (["scale=paper", "trainer.strategy=fsdp"], "choose bf16-mixed, or strategy: deepspeed"),
        (["trainer.strategy={name: deepspeed, stage: 4}"], "stages 1, 2 and 3, not 4"),
        (["trainer.strategy={name: deepspeed, offload: cpu}"], "offload: 'cpu' is unknown"),
        (["trainer.strategy={name: deepspeed, offload: all}"], "needs stage: 3"),
    ],
)
def test_a_strategy_that_is_none_is_among_the_problems(overrides, words):
    with pytest.raises(ConfigError, match="2 problem") as error:
        config.load(RECIPE, [*overrides, "seed=many"])
    assert words in str(error.value)


def test_the_recipe_at_scale_paper_asks_for_zero_2():
    pytest.importorskip("deepspeed")
    cfg = trainer("scale=paper")
    assert cfg.strategy.build(cfg).settings()["stage"] == 2


def test_the_engine_is_in_no_key():
    def keys(*overrides):
        # 16 devices are too many for SMALL's batches
        return [stage.key for stage in plan(config.load(RECIPE, [*SMALL, *overrides], trained=False), "data")]

    assert keys() == keys(
        "trainer.strategy=deepspeed",
        "trainer.devices=8",
        "trainer.num_nodes=2",
        "trainer.workers=4",
        "trainer.strategy.stage=3",
    )
    assert keys() != keys("trainer.precision=bf16-mixed")


def test_a_json_of_ones_own_goes_through(tmp_path):
    pytest.importorskip("deepspeed")
    path = tmp_path / "zero.json"
    path.write_text(json.dumps({"zero_optimization": {"stage": 1, "reduce_bucket_size": 1000}}))
    by_file = engine({"name": "deepspeed", "config": str(path)}).settings()["config"]
    by_keys = engine(
        {"name": "deepspeed", "config": {"zero_optimization": {"stage": 1, "reduce_bucket_size": 1000}}}
    ).settings()["config"]
    assert by_file == by_keys and by_file["zero_optimization"]["reduce_bucket_size"] == 1000
    with pytest.raises(ConfigError, match="trainer.strategy.config: nowhere.json cannot be read"):
        engine({"name": "deepspeed", "config": "nowhere.json"}).settings()
    with pytest.raises(ConfigError, match="leave out optimizer, gradient_clipping"):
        engine({"name": "deepspeed", "config": {"optimizer": {"type": "Adam"}, "gradient_clipping": 1}}).settings()


def test_deepspeed_that_is_not_installed_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"anyecg\[deepspeed\]"):
        check_machine(with_engine("deepspeed"))


def test_what_this_machine_cannot_run_is_told_at_once(monkeypatch):
    pytest.importorskip("deepspeed")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for accelerator in ("auto", "cpu"):
        with pytest.raises(ConfigError, match="trainer.strategy: fsdp needs GPUs"):
            check_machine(with_engine("fsdp", accelerator=accelerator))
    with pytest.raises(
        ConfigError, match="trainer.accelerator: gpu with trainer.devices: 8 needs .* which has 0(.|\n)*nowhere.json"
    ):
        check_machine(trainer("scale=paper", "trainer.strategy.config=nowhere.json"))
    check_machine(with_engine())


def test_fsdp_on_a_cpu_is_refused(model):
    strategy = engine("fsdp", accelerator="cpu").strategy(model)
    strategy.accelerator = CPUAccelerator()
    with pytest.raises(ConfigError, match="trainer.strategy: fsdp needs GPUs"):
        strategy.setup_environment()


def test_fsdp_with_weights_of_two_kinds_says_what_to_set(model):
    model.llm.lm.get_input_embeddings().to(torch.bfloat16)
    with pytest.raises(ConfigError, match="bfloat16 and float32; set llm.dtype=float32"):
        engine("fsdp").strategy(model)._setup_model(model)


def staged(data, devices, **settings):
    cfg = StageConfig(tasks={"report": 1, "localization_short": 1}, samples=96, **settings)
    return StageData(
        data,
        cfg,
        InputConfig(),
        replay=0.0,
        seed=0,
        collate=None,
        measure=lambda sample, clips: (len(sample.answer), 1),
        context=10_000,
        devices=devices,
    )


@pytest.mark.parametrize(
    "settings", [{"batch_size": 32}, {"batch_size": 32, "micro_batch": 4}, {"batch_size": 32, "tokens": 800}]
)
def test_a_step_has_the_same_samples_on_any_number_of_devices(small_data, settings):
    def steps(devices):
        made = staged(small_data, devices, **settings)
        assert len(made.plan) == made.steps * made.accumulate * devices
        return [
            sorted(np.concatenate([made.plan[n] for n in range(s, s + made.accumulate * devices)]).tolist())
            for s in range(0, len(made.plan), made.accumulate * devices)
        ]

    assert steps(1) == steps(2) == steps(4) == steps(16)


def test_accumulation_follows_from_the_batch_and_the_devices(small_data):
    assert [staged(small_data, devices, batch_size=32, micro_batch=4).accumulate for devices in (1, 2, 8, 16)] == [
        8,
        4,
        1,
        1,
    ]
    with pytest.raises(ConfigError, match="batch_size 32 is not a multiple of micro_batch 4 times 3 device"):
        staged(small_data, 3, batch_size=32, micro_batch=4)


def test_a_stage_goes_on_at_the_same_step_on_other_devices():
    counts = {"ready": 8, "started": 8, "processed": 8, "completed": 7}
    loops = {
        "fit_loop": {
            "state_dict": {"combined_loader": [1]},
            "epoch_loop.batch_progress": {"total": dict(counts), "current": dict(counts)},
        }
    }
    assert moved(loops, step=2, before=4, after=2) == 4
    assert loops["fit_loop"]["epoch_loop.batch_progress"]["current"] == {
        "ready": 4,
        "started": 4,
        "processed": 4,
        "completed": 3,
    }
    assert list(Turns(8, rank=1, world=2, start=2)) == [5, 7]


def test_devices_together_have_the_loss_of_all_pairs():
    generator = torch.Generator().manual_seed(0)
    ecg, text, report = (
        torch.randn(8, 4, generator=generator),
        torch.randn(8, 4, generator=generator),
        torch.tensor([0, 1, 2, 3, 4, 5, 0, 7]),
    )
    whole = sigmoid_loss(ecg, text, report, torch.tensor(3.0), torch.tensor(-1.0))
    parts = [
        sigmoid_loss(ecg[r::2], text, report[r::2], torch.tensor(3.0), torch.tensor(-1.0), report) for r in range(2)
    ]
    torch.testing.assert_close(sum(parts) / 2, whole)


def single(small_cache, folder, name, stage, overrides):
    engines.train(small_cache, folder, name, stage, overrides, {})
    return folder / name


@pytest.fixture(scope="module")
def trained(small_data, small_cache, tmp_path_factory):
    """A stage by a single process, then by two under each engine, then by a single one from ZeRO-3's checkpoint."""
    folder = tmp_path_factory.mktemp("engines")
    base = [*SMALL, *STEPS]
    single(small_cache, folder, "single", "stage2", base)
    single(small_cache, folder, "single_contrastive", "contrastive", base)
    weights = folder / "llm"
    build_model(config.load(RECIPE, [*base, f"cache={folder}"]), small_data).llm.save_weights(weights)
    hf = [*base, "llm=hf", f"llm.path={weights}", "llm.dtype=float32", "llm.lora.dropout=0"]
    hf = [o for o in hf if not o.startswith(("llm.dim", "llm.layers", "llm.heads", "llm.mlp"))]
    single(small_cache, folder, "single_hf", "stage2", hf)
    for name in ("zero3_from_single", "fsdp_from_single"):
        shutil.copy(folder / "single.at2", folder / f"{name}.ckpt")
    cases = {
        "ddp": ["stage2", [*base, *TWO]],
        "ddp_contrastive": ["contrastive", [*base, *TWO]],
        "zero1": ["stage2", [*base, *TWO, *ZERO, "trainer.strategy.stage=1"]],
        "zero2": ["stage2", [*base, *TWO, *ZERO]],
        "zero2_offload": ["stage2", [*base, *TWO, *ZERO, "trainer.strategy.offload=optimizer"]],
        "zero3": ["stage2", [*base, *TWO, *ZERO, "trainer.strategy.stage=3"]],
        "zero3_from_single": ["stage2", [*base, *TWO, *ZERO, "trainer.strategy.stage=3"]],
        "zero3_hf": ["stage2", [*hf, *TWO, *ZERO, "trainer.strategy.stage=3"]],
        "fsdp": ["stage2", [*base, *TWO, *FSDP]],
        "fsdp_from_single": ["stage2", [*base, *TWO, *FSDP]],
    }
    (folder / "cases.json").write_text(json.dumps(cases))
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "tests.training.engines.two_processes",
        str(small_cache),
        str(folder),
        str(folder / "cases.json"),
    ]
    done = subprocess.run(
        command,
        cwd=engines.ROOT,
        env=os.environ | {"DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    for engine in ("zero3", "fsdp"):
        shutil.copy(folder / f"{engine}.at2", folder / f"single_from_{engine}.ckpt")
        single(small_cache, folder, f"single_from_{engine}", "stage2", base)
    return folder


def output(folder):
    (stage,) = folder.glob("stages/*-*")
    return stage


def tensors(folder):
    stage = output(folder)
    return {
        f"{path.relative_to(stage)}/{key}": value
        for path in sorted(stage.rglob("*.safetensors"))
        for key, value in load_file(path).items()
    }


def losses(folder, column="loss"):
    with (output(folder) / "loss.csv").open() as file:
        return {int(row["step"]): float(row[column]) for row in csv.DictReader(file)}


PAIRS = [
    ("ddp", "single"),
    ("ddp_contrastive", "single_contrastive"),
    ("zero1", "single"),
    ("zero2", "single"),
    ("zero2_offload", "single"),
    ("zero3", "single"),
    ("zero3_from_single", "single"),
    ("single_from_zero3", "single"),
    ("zero3_hf", "single_hf"),
    ("fsdp", "single"),
    ("fsdp_from_single", "single"),
    ("single_from_fsdp", "single"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "reference"), PAIRS)
def test_two_processes_give_the_weights_and_the_losses_of_one(trained, engine, reference):
    ours, theirs = tensors(trained / engine), tensors(trained / reference)
    assert ours.keys() == theirs.keys() and len(ours) > 4
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, atol=TOLERANCE, rtol=0, msg=lambda m: f"{engine}, {name}: {m}")
    for column in ("loss", "validation_loss"):
        one, other = losses(trained / reference, column), losses(trained / engine, column)
        assert other == pytest.approx({step: one[step] for step in other}, rel=TOLERANCE, abs=2e-5) and max(
            other
        ) == max(one)


@pytest.mark.slow
def test_what_went_on_began_at_the_third_step(trained):
    assert set(losses(trained / "single")) == {1, 2, 3, 4}
    for name in ("single_from_zero3", "zero3_from_single", "single_from_fsdp", "fsdp_from_single"):
        assert set(losses(trained / name)) == {3, 4}


@pytest.mark.slow
def test_zero_3_begins_like_a_single_process(trained):
    """The trap: initialisation on parts of tensors gives a LoRA B that is not zero and an encoder of twice the
    deviation.
    """
    for engine, reference in (("zero3", "single"), ("zero3_hf", "single_hf")):
        ours, theirs = (json.loads((trained / f"{name}.json").read_text()) for name in (engine, reference))
        assert ours["lora_b"] == theirs["lora_b"] == 0
        assert ours["encoder"] == pytest.approx(theirs["encoder"], rel=1e-6)
        assert np.allclose(ours["markers"], theirs["markers"])


@pytest.mark.slow
def test_the_frozen_llm_is_whole_on_no_process_of_zero_3(trained):
    facts = {name: json.loads((trained / f"{name}.json").read_text()) for name in ("zero3_hf", "single_hf")}
    assert facts["zero3_hf"]["parts"] >= 9 and facts["single_hf"]["parts"] == 0


@pytest.mark.slow
def test_a_checkpoint_is_one_file_with_what_learns_and_the_same_under_every_engine(trained):
    held = {}
    for name in ("single", "ddp", "zero1", "zero2", "zero3", "fsdp"):
        checkpoint = torch.load(trained / f"{name}.at2", weights_only=False)
        held[name] = {key: tuple(value.shape) for key, value in checkpoint["state_dict"].items()}
        moments = checkpoint["optimizer_states"][0]["state"]
        assert float(moments[0]["step"]) == 2 and set(moments[0]) == {"step", "exp_avg", "exp_avg_sq"}
    assert all(state == held["single"] for state in held.values())
    assert not any("lm_head" in name or "mlp.up_proj" in name for name in held["zero3"])


def test_ddp_looks_for_what_a_batch_of_text_only_leaves_out():
    strategy = engine("auto", devices=2, accelerator="cpu").strategy(None)
    assert strategy._ddp_kwargs["find_unused_parameters"]


@pytest.mark.parametrize("name", registered.table())
def test_every_engine_keeps_the_contract(name):
    made = engine(name)
    assert isinstance(made, Engine) and type(made).__doc__
    assert config.build(TrainerConfig, to_dict(with_engine(name)), "again") == with_engine(name)
    clips = made.callbacks(1.0)
    assert (made.clip_value(1.0) == 1.0) != bool(clips)  # by Lightning or by the engine, never by both or neither
    assert made.clip_value(0.0) is None and not made.callbacks(0.0)
    assert all(isinstance(message, str) for message in made.check())
    if name != "deepspeed":
        for label, estimate in made.estimates().items():
            assert 0 < estimate(10**6, 10**8, 10**5, 8) <= estimate(10**6, 10**8, 10**5, 2), label
