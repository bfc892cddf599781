"""What holds on a GPU: the fast path, fusions, generation, recomputing, resume and engines, each against a plain form.

`benchmarks/gpu_check.sh` runs these on a machine that has one. ANYECG_GPU_TESTS=cpu runs the same code without.
"""

import copy
import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file

from anyecg.fusion import fusions
from anyecg.llms.fused_loss import fused
from anyecg.training.compiled import compiled
from anyecg.types import ConfigError
from benchmarks.plain import plain_answer, plain_attention, plain_loss
from tests.conftest import SMALL, collator, make_model
from tests.fusion.test_contract import FITS
from tests.test_fast_path import KINDS, TRAINS, gradients, questions
from tests.training.engines import two_processes

DEVICE = os.environ.get("ANYECG_GPU_TESTS", "cuda")
ON_GPU = DEVICE == "cuda"
EACH = list(KINDS) if ON_GPU else ["mixed"]  # on a CPU, test_fast_path has them all
pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def exact():
    """Float32 that is float32: no TF32 in products or convolutions."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def learning_model(**settings):
    """A model whose LoRA does something, on the device, in eval mode: no dropout."""
    model = make_model(**settings)
    model.train_only(TRAINS)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.1)
    return model.eval().to(DEVICE)


def batch_of(model, kind="mixed", **settings):
    return collator(model, **settings)(questions(kind, 0)).to(DEVICE)


@pytest.mark.parametrize("kind", EACH)
def test_float32_equals_the_plain_implementation(kind):
    model = learning_model()
    batch = batch_of(model, kind)
    loss = model(batch)
    fast = gradients(model, loss)
    with plain_attention(model):
        other = plain_loss(model, batch)
        plain = gradients(model, other)
    torch.testing.assert_close(loss, other, atol=1e-4, rtol=0)
    assert fast.keys() == plain.keys()
    for name in fast:
        torch.testing.assert_close(fast[name], plain[name], atol=1e-4, rtol=1e-3, msg=lambda told: f"{name}: {told}")


@pytest.mark.parametrize("kind", EACH)
def test_bfloat16_is_as_near_to_float32_as_plain_bfloat16(kind):
    model = learning_model()
    batch = batch_of(model, kind)
    exact = torch.cat([gradient.flatten() for gradient in gradients(model, model(batch)).values()])

    def off(loss_of):
        with torch.autocast(DEVICE, torch.bfloat16):
            loss = loss_of(model, batch)
        found = torch.cat([gradient.flatten() for gradient in gradients(model, loss).values()]).float()
        return float((found - exact).norm() / exact.norm())

    fast = off(lambda model, batch: model(batch))
    with plain_attention(model):
        plain = off(plain_loss)
    assert fast < max(2 * plain, 0.02), (fast, plain)


@pytest.mark.parametrize("fusion", sorted(fusions.table()))
def test_each_fusion_trains_and_answers(fusion):
    """Company and padding change nothing, in float32; under bfloat16 the gradients are finite and nearly the same."""
    model = make_model(fusion=fusion, connector=FITS[fusion][0])
    model.train_only(["encoder", "connector", "fusion", "markers", "llm"])
    model.eval().to(DEVICE)
    asked = questions("mixed", 0)
    together = collator(model)(asked)
    loss = model(together.to(DEVICE)) * len(together.answers)
    alone = [collator(model)([item]) for item in asked]
    summed = sum(model(batch.to(DEVICE)) * len(batch.answers) for batch in alone)
    torch.testing.assert_close(loss, summed, atol=2e-3, rtol=1e-4)
    exact = gradients(model, loss)
    with torch.autocast(DEVICE, torch.bfloat16):
        rounded = gradients(model, model(together.to(DEVICE)) * len(together.answers))
    assert exact.keys() == rounded.keys() and all(value.isfinite().all() for value in rounded.values())
    a, b = (torch.cat([value.flatten().float() for value in each.values()]) for each in (exact, rounded))
    assert torch.cosine_similarity(a, b, dim=0) > 0.98
    answers = [prediction.text for prediction in model.answer(batch_of(model, generate=True), 8)]
    one = [model.answer(collator(model, generate=True)([item]).to(DEVICE), 8)[0].text for item in asked]
    assert answers == one


def test_generation_in_a_batch_is_generation_alone_and_the_plain_implementations():
    model = learning_model()
    batch = batch_of(model, generate=True)
    answers = [prediction.text for prediction in model.answer(batch, 16)]
    with plain_attention(model):
        assert answers == plain_answer(model, batch, 16)
    asked = questions("mixed", 0)
    assert answers == [model.answer(collator(model, generate=True)([item]).to(DEVICE), 16)[0].text for item in asked]


def test_recomputing_changes_no_gradient():
    found = {}
    for how in (False, "selective", True):
        model = learning_model(checkpointing=how)
        found[how] = gradients(model, model(batch_of(model)))
    for how in ("selective", True):
        for name, value in found[False].items():
            torch.testing.assert_close(found[how][name], value, atol=1e-6, rtol=1e-5, msg=lambda m: f"{how} {name} {m}")


def test_a_fused_loss_is_the_same_loss():
    model = learning_model()
    try:
        fused(torch.device(DEVICE))
    except ConfigError as error:
        pytest.skip(str(error))
    batch = batch_of(model)
    plain = gradients(model, loss := model(batch))
    model.llm.fuse_loss()
    other = gradients(model, fused_loss := model(batch))
    torch.testing.assert_close(loss, fused_loss, atol=1e-4, rtol=1e-4)
    for name in plain:
        torch.testing.assert_close(other[name], plain[name], atol=1e-4, rtol=1e-3, msg=lambda m: f"{name} {m}")


@pytest.mark.skipif(not ON_GPU, reason="compiling takes a minute on a CPU")
def test_a_compiled_step_is_the_same_step():
    model = learning_model()
    batch = batch_of(model)
    plain = gradients(model, model(batch))
    with compiled(model):
        other = gradients(model, model(batch))
    for name in plain:
        torch.testing.assert_close(other[name], plain[name], atol=1e-4, rtol=1e-3, msg=lambda m: f"{name} {m}")


def test_nothing_waits_for_the_device():
    """CUDA's own watch over synchronisations, which the meta device stands in for elsewhere."""
    model = learning_model()
    batch = batch_of(model)
    gradients(model, model(batch))  # what is made once
    model.zero_grad(set_to_none=False)
    if ON_GPU:
        torch.cuda.set_sync_debug_mode("error")
    try:
        model(batch).backward()
    finally:
        if ON_GPU:
            torch.cuda.set_sync_debug_mode("default")


STAGE = [
    *SMALL,
    "stages.stage2.samples=64",
    "stages.stage2.micro_batch=8",
    "trainer.workers=0",
    f"trainer.accelerator={'gpu' if ON_GPU else 'cpu'}",
]


@pytest.fixture(scope="module")
def stage(small_data, small_cache, tmp_path_factory):
    """name, overrides -> the weights of Stage 2 (four steps) trained so; its checkpoint of step 2 is kept beside."""
    folder, known = tmp_path_factory.mktemp("stages"), {"data": small_data}

    def train(name, *overrides, begin=None):
        if begin is not None:
            shutil.copy(folder / f"{begin}.at2", folder / f"{name}.ckpt")
        two_processes.train(small_cache, folder, name, "stage2", [*STAGE, *overrides], known)
        (output,) = (folder / name).glob("stages/*-*")
        facts = json.loads((output / "stage.json").read_text())
        assert facts["steps"] == 4
        return {
            f"{path.relative_to(output)}/{key}": value
            for path in sorted(output.rglob("*.safetensors"))
            for key, value in load_file(path).items()
        }

    return train


@pytest.fixture(scope="module")
def single(stage):
    return stage("single")


def furthest(one, other):
    assert one.keys() == other.keys()
    return max(float((one[name].float() - other[name].float()).abs().max()) for name in one)


def test_a_resumed_stage_ends_with_the_same_bits_where_that_is_asked_for(stage):
    """`trainer.deterministic: warn`: what has a deterministic kernel uses it."""
    whole = stage("whole", "trainer.deterministic=warn")
    resumed = stage("resumed", "trainer.deterministic=warn", begin="whole")
    assert furthest(whole, resumed) == 0


def test_a_resumed_stage_ends_nearly_the_same_without(stage, single):
    off = furthest(single, stage("resumed_plain", begin="single"))
    print(f"resumed, not deterministic: weights differ by {off:g} at most")
    assert off < 1e-3


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_a_stage_trains_in_16_bits(stage, single, precision):
    if not ON_GPU and precision == "16-mixed":
        pytest.skip("float16 is for GPUs")
    assert furthest(single, stage(precision, f"trainer.precision={precision}")) < 0.05


ENGINES = {
    "zero2": ["deepspeed", "DeepSpeedOnCPU", "trainer.strategy.stage=2"],
    "zero2_offload": ["deepspeed", "DeepSpeedOnCPU", "trainer.strategy.stage=2", "trainer.strategy.offload=optimizer"],
    "zero3": ["deepspeed", "DeepSpeedOnCPU", "trainer.strategy.stage=3"],
    "fsdp": ["fsdp", "FSDPOnCPU"],
}


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_on_one_device_gives_the_weights_of_none(stage, single, engine):
    on_gpu, on_cpu, *more = ENGINES[engine]
    if on_gpu == "deepspeed":
        pytest.importorskip("deepspeed")
    name = on_gpu if ON_GPU else f"tests.training.engines.two_processes:{on_cpu}"
    assert furthest(single, stage(engine, f"trainer.strategy={name}", *more)) < 1e-4


def test_a_model_that_moves_keeps_its_answers():
    model = learning_model()
    other = copy.deepcopy(model).cpu()
    batch = collator(model, generate=True)(questions("short", 0))
    moved = [prediction.text for prediction in model.answer(batch.to(DEVICE), 8)]
    assert moved == [prediction.text for prediction in other.answer(batch, 8)]
