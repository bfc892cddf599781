"""What `benchmarks.gpu_check` measures and tests, a function a part; each records rows as it gets them, so that what
was measured before a part fails, or runs out of its time, is kept.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from anyecg.config.schema import StageConfig
from anyecg.objectives.augment import Augmentation
from anyecg.objectives.contrastive import ContrastiveStage, PairBatch
from benchmarks.gpu import Setting, build, generation, measure, peak_rate, wait

TEST_SECONDS = 60  # of one test


@dataclass(frozen=True)
class Check:
    """Where a part runs and what it leaves. record: keeps a row at once; work: a folder that is not handed over."""

    dry: bool
    out: Path
    work: Path
    record: Callable[..., None]

    @property
    def device(self) -> str:
        return "cpu" if self.dry else "cuda"

    @property
    def shape(self) -> str:
        return "tiny" if self.dry else "llama-3-8b"

    def each(self, settings: list[Setting], steps: int) -> None:
        """Measure each setting; one that fails (memory, a library that is not there) is a row that says so."""
        for setting in settings:
            try:
                self.record(**measure(setting, self.shape, self.device, steps, peak_rate(self.device)))
            except Exception as error:  # noqa: BLE001 whatever a library raises; the next setting may do
                self.record(setting=str(setting), failed=first_line(error))
            free(self.device)


def first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"


def free(device: str) -> None:
    """Give the memory of what is no longer referred to back."""
    import gc

    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


def facts(check: Check) -> None:
    """The card, the versions, and what a product and a copy reach on it."""
    import transformers

    device = check.device
    found = {"torch": torch.__version__, "transformers": transformers.__version__, "python": sys.version.split()[0]}
    if device == "cuda":
        found["card"] = torch.cuda.get_device_name()
        found["memory_gib"] = torch.cuda.get_device_properties(0).total_memory / 2**30
    else:
        found["card"] = "a CPU, at toy sizes: no figure means anything"
    size = 8192 if device == "cuda" else 128
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        a @ b
    wait(device)
    began = time.perf_counter()
    for _ in range(10):
        a @ b
    wait(device)
    found["product_tflops"] = 10 * 2 * size**3 / (time.perf_counter() - began) / 1e12
    check.record(**found)


def stage2(check: Check) -> None:
    """Stage 2's step over settings, and where its time goes."""
    if check.dry:
        settings = [
            Setting(4),
            Setting(4, checkpointing="selective"),
            Setting(4, checkpointing=True, fused_loss=True),
            Setting(8, tokens=2048),
        ]
    else:
        settings = [
            Setting(8),
            Setting(16),
            Setting(32, checkpointing="selective"),
            Setting(32, checkpointing=True),
            Setting(16, fused_loss=True),
            Setting(16, attention="flash_attention_2"),
            Setting(16, attention="eager"),
            Setting(64, tokens=4096),
            Setting(64, tokens=8192, checkpointing="selective"),
        ]
    check.each(settings, 1 if check.dry else 5)

    def profiled(step: Callable[[], None]) -> None:
        kinds = [torch.profiler.ProfilerActivity.CPU]
        kinds += [torch.profiler.ProfilerActivity.CUDA] if check.device == "cuda" else []
        with torch.profiler.profile(activities=kinds) as profile:
            step()
            wait(check.device)
        key = "self_cuda_time_total" if check.device == "cuda" else "self_cpu_time_total"
        table = profile.key_averages().table(sort_by=key, row_limit=25, max_name_column_width=60)
        (check.out / "profile.txt").write_text(f"one step of {settings[1]}\n{table}\n")

    measure(settings[1], check.shape, check.device, 1, watched=profiled)


def compiled(check: Check) -> None:
    """Stage 2's step through torch.compile."""
    if check.dry:
        check.record(setting="through torch.compile", outcome="left out: compiling takes a minute on a CPU")
        return
    check.each([Setting(16, compile=True), Setting(16, compile=True, checkpointing="selective", fused_loss=True)], 5)


def stages(check: Check) -> None:
    """Stage 1's and the contrastive stage's steps, of 256 samples."""
    size = 16 if check.dry else 256
    check.each([Setting(size, 8192, stage="stage1"), Setting(size, 16384, stage="stage1")][: 1 if check.dry else 2], 1)
    contrastive(check, size)


def contrastive(check: Check, size: int) -> None:
    """The contrastive stage: ViT-base in bfloat16 autocast against embeddings of 384 numbers."""
    device, steps = check.device, 2 if check.dry else 10
    model = build("tiny", device).float()
    if not check.dry:
        from anyecg.encoders import encoders

        model.encoder = encoders["vit"](encoders["vit"].Config(size="base")).to(device)
    stage = ContrastiveStage(
        model, StageConfig(objective="contrastive", trains=["encoder"]), steps, 384, Augmentation(lead_dropout=0.4)
    ).to(device)
    stage.train()
    batch = PairBatch(
        torch.randn(size, 12, 1000),
        torch.ones(size, 12, dtype=torch.bool),
        torch.randn(size, 384),
        torch.arange(size),
        tuple(map(str, range(size))),
    ).to(device)
    optimizer = torch.optim.AdamW([p for p in stage.parameters() if p.requires_grad], lr=1e-4, fused=True)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    began = 0.0
    for number in range(-1, steps):
        if number == 0:
            wait(device)
            began = time.perf_counter()
        with torch.autocast(device, torch.bfloat16) if device == "cuda" else nullcontext():
            loss = stage.loss(batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    wait(device)
    seconds = time.perf_counter() - began
    peak = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else None
    check.record(setting=f"contrastive, batch {size}", samples_s=steps * size / seconds, peak_gib=peak)


def generating(check: Check) -> None:
    """New tokens a second, against the library's `generate`."""
    sizes = (8, 4, 4) if check.dry else (64, 48, 32)
    for row in generation(check.shape, check.device, *sizes):
        check.record(**row)


def tests(check: Check) -> None:
    """The tests marked `gpu`."""
    import pytest

    class Told:
        @pytest.hookimpl
        def pytest_runtest_logreport(self, report):
            if report.when == "call" or (report.when == "setup" and report.outcome != "passed"):
                why = {} if report.outcome == "passed" else {"why": str(report.longrepr)[-300:]}
                name = report.nodeid.rpartition("::")[2]
                check.record(setting=name, outcome=report.outcome, seconds=round(report.duration, 1), **why)

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when it is first used: for the exact resume
    if check.dry:
        os.environ["ANYECG_GPU_TESTS"] = "cpu"
    limit = TEST_SECONDS * (10 if check.dry else 1)
    code = pytest.main(
        ["-m", "gpu", "tests/test_gpu.py", f"--timeout={limit}", "-p", "no:cacheprovider", "--durations=0"],
        plugins=[Told()],
    )
    if code:
        raise RuntimeError(f"pytest ended with {int(code)}")


TOY = [
    "trainer.accelerator=cpu",
    "trainer.workers=0",
    *(f"corpora.{name}.seconds=60" for name in ("mit_bih_arrhythmia", "mit_bih_st", "european_st_t")),
    *(f"corpora.{name}.patients=8" for name in ("mit_bih_arrhythmia", "mit_bih_st", "european_st_t")),
    "corpora.mimic.patients=40",
    "corpora.ptbxl.patients=40",
    *(f"encoder.{key}" for key in ("dim=32", "layers=1", "heads=2", "mlp=64")),
    *(f"llm.{key}" for key in ("dim=32", "layers=1", "heads=2", "mlp=64")),
    *(f"stages.{name}.samples=32" for name in ("language", "contrastive", "stage1", "stage2", "stage3")),
    *(f"stages.{name}.batch_size=16" for name in ("language", "contrastive", "stage1", "stage2", "stage3")),
    "curriculum=[contrastive,stage2]",
    "evaluation.tasks=[localization]",
    "evaluation.limit=8",
    "evaluation.max_new_tokens=8",
    "evaluation.bootstrap=0",
]
SHORT = [  # on a GPU: some hundred steps of each stage, an LLM of 30 M parameters
    "corpora.mimic.patients=1200",
    "corpora.ptbxl.patients=800",
    *(f"corpora.{name}.seconds=75" for name in ("mit_bih_arrhythmia", "mit_bih_st", "european_st_t")),
    *(f"llm.{key}" for key in ("dim=512", "layers=8", "heads=8", "mlp=1408")),
    "stages.language.samples=19200",
    "stages.language.batch_size=64",
    "stages.language.lr=1.0e-3",
    "stages.contrastive.samples=25600",
    "stages.stage1.samples=12800",
    "stages.stage2.samples=12800",
    "stages.stage3.samples=6400",
    "evaluation.limit=200",
    "evaluation.batch_size=128",
    "evaluation.max_new_tokens=96",
    "evaluation.bootstrap=100",
]


def run(check: Check) -> None:
    """The recipe at scale=gpu, short: an LLM trained in the run, as no weights travel."""
    from anyecg.run import main

    folder = check.work / "run"
    shutil.rmtree(folder, ignore_errors=True)
    began = time.perf_counter()
    code = main(
        [
            "experiments/anyecg_chat.yaml",
            "scale=gpu",
            "llm=tiny",
            "text_encoder=lexical",
            f"cache={folder / 'cache'}",
            f"output={folder / 'runs'}",
            *(TOY if check.dry else SHORT),
        ]
    )
    check.record(setting="anyecg run, scale=gpu", outcome="passed" if not code else f"exit {code}",
                 seconds=round(time.perf_counter() - began, 1))  # fmt: skip
    if code:
        raise RuntimeError(f"the run ended with {code}")


def collect(check: Check) -> None:
    """What the run left, whole or cut short: the curves of its stages and its table."""
    folder = check.work / "run"
    curves = []
    for path in sorted(folder.glob("cache/stages/*/loss.csv"), key=lambda path: path.stat().st_mtime):
        head, *lines = path.read_text().splitlines()
        stage = path.parent.name.split("-")[0]
        curves += [*([] if curves else [f"stage,{head}"]), *(f"{stage},{line}" for line in lines)]
    if curves:
        (check.out / "loss.csv").write_text("\n".join(curves) + "\n")
    for source, target in (("table.md", "table.md"), ("figures/loss.png", "loss.png")):
        for path in folder.glob(f"runs/*/{source}"):
            shutil.copyfile(path, check.out / target)


def smi() -> str:
    """What nvidia-smi says of the card; nothing where there is none."""
    try:
        return subprocess.run(["nvidia-smi"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
