"""Training steps and generation at Llama-3-8B's shape, random weights, bfloat16: tokens a second, MFU and memory.

MFU counts the FLOPs that the step's maths needs: forward and backward through the frozen LLM's activations (4 a weight
and real token), the encoder and connector with their weight gradients (6 a weight and token), logits at answers,
attention as causal; padding and recomputed activations count as no work. The peak is the device's dense bfloat16 rate.

    python -m benchmarks.gpu [--batch 8] [--steps 10] [--checkpointing false|true|selective] [--attention sdpa]
    [--fused-loss] [--compile] [--peak-tflops 989] [--shape tiny --device cpu]

`benchmarks/gpu_check.sh` runs this over many settings, with all else that wants a GPU.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from anyecg.answerers.language_model import by_length
from anyecg.connectors import connectors
from anyecg.data.loading.collate import Collator
from anyecg.data.loading.sampling import cut
from anyecg.encoders import encoders
from anyecg.fusion import fusions
from anyecg.llms.base import LanguageModel, LLMConfig
from anyecg.llms.lora import LoRAConfig
from anyecg.llms.tiny import train_tokenizer
from anyecg.model import ECGLanguageModel
from anyecg.training.compiled import compiled
from benchmarks.mixture import EVERY, items

# TFLOPS, dense bfloat16 (vendor's figures; SXM where there are two)
PEAKS = {"H100": 989, "H200": 989, "A100": 312, "L40S": 362, "L4": 121}
SHAPES = {
    "llama-3-8b": {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
    },
    "tiny": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 2048,
    },
}
SIZES = {"llama-3-8b": "base", "tiny": "tiny"}  # of the ViT beside each
STAGES = {  # what learns, and the questions
    "stage1": (["encoder", "connector", "markers"], {"report": EVERY}),
    "stage2": (["encoder", "connector", "markers", "llm"], None),
}
WARM = 2  # steps before the clock


@dataclass(frozen=True)
class Setting:
    """How a step is computed. batch: samples of it; tokens: padded tokens of a pass at most (None: one pass)."""

    batch: int = 8
    tokens: int | None = None
    checkpointing: bool | str = False
    attention: str = "sdpa"
    fused_loss: bool = False
    compile: bool = False
    stage: str = "stage2"

    def __str__(self) -> str:
        words = [f"batch {self.batch}", *([f"passes of {self.tokens} tokens"] if self.tokens else []), self.attention]
        recomputed = {True: "recomputed", False: ""}.get(self.checkpointing, f"recomputed ({self.checkpointing})")
        words += [recomputed, "fused loss" * self.fused_loss, "compiled" * self.compile]
        return ", ".join(word for word in words if word)


def build(
    shape: str, device: str, checkpointing: bool | str = False, attention: str = "sdpa", stage: str = "stage2"
) -> ECGLanguageModel:
    """ViT, the connector and a random LLM, all on the device; a tokenizer trained on the mixture's texts, whose ids all
    exist in both vocabularies.
    """
    config = LlamaConfig(**SHAPES[shape], max_position_embeddings=8192, attn_implementation=attention)
    tokenizer = train_tokenizer((turn.text for item in items(EVERY) for turn in item.sample.conversation), 2048, 8192)
    for name in ("pad", "bos", "eos"):
        setattr(config, f"{name}_token_id", getattr(tokenizer, f"{name}_token_id"))
    with torch.device(device):
        torch.set_default_dtype(torch.bfloat16)
        try:
            llm = LlamaForCausalLM(config)
        finally:
            torch.set_default_dtype(torch.float32)
        vit = encoders["vit"](encoders["vit"].Config(size=SIZES[shape])).bfloat16()
        joint = connectors["mlp"](connectors["mlp"].Config(), vit.dim, config.hidden_size).bfloat16()
    cfg = LLMConfig(lora=LoRAConfig(float32=False), gradient_checkpointing=checkpointing)
    language = LanguageModel(cfg, llm, tokenizer, shape)
    fusion = fusions["tokens"](fusions["tokens"].Config(), language, *joint.tokens(vit.prefix, vit.patches))
    model = ECGLanguageModel(vit, joint, fusion, language).to(device)
    model.train_only(STAGES[stage][0])
    return model.train()


def flops(model: ECGLanguageModel, batch) -> float:
    """What forward and backward of one batch need, without padding."""
    config, real = model.llm.lm.config, batch.attention_mask.sum(1).double()
    vocabulary = config.vocab_size * config.hidden_size
    body = sum(p.numel() for name, p in model.llm.weights() if "embed_tokens" not in name and "lm_head" not in name)
    # scores and sums, half of them masked
    attention = 2 * config.num_hidden_layers * config.hidden_size * float((real**2).sum())
    encoder, clip = sum(p.numel() for p in model.encoder.parameters()), 1 + 60
    joint = sum(p.numel() for p in model.connector.parameters())
    encoder_attention = 4 * len(model.encoder.blocks) * model.encoder.dim * clip**2
    return (4 * body * float(real.sum()) + 3 * attention + 4 * vocabulary * len(batch.answers)
            + len(batch.owner) * (6 * clip * (encoder + joint) + 3 * encoder_attention))  # fmt: skip


def wait(device: str) -> None:
    """Until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def peak_rate(device: str) -> float | None:
    """TFLOPS of the card, where its name is known."""
    name = torch.cuda.get_device_name() if device == "cuda" else ""
    return next((rate for key, rate in PEAKS.items() if key in name), None)


def cuts(collate: Collator, setting: Setting) -> list[list[list[int]]]:
    """Steps of passes of questions, and the questions themselves made once: like lengths share a pass."""
    made = asked(setting)
    lengths = np.array([collate.length(item.sample, [len(clips) for clips in item.clips]) for item in made])
    if setting.tokens is None:  # passes of like length, as tokens make them of larger steps
        return [[rows] for rows in np.argsort(lengths, kind="stable").reshape(-1, setting.batch).tolist()]
    steps = np.random.default_rng(0).permutation(len(made)).reshape(-1, setting.batch)
    assigned, passes = cut(lengths[steps], setting.tokens)
    return [[step[own == number].tolist() for number in range(passes)] for step, own in zip(steps, assigned)]


def asked(setting: Setting) -> list:
    """The questions of a few steps."""
    mixture = STAGES[setting.stage][1]
    count = EVERY * -(-setting.batch // 8)
    if mixture is None:
        return items(count)
    return items(-(-count // setting.batch) * setting.batch, parts=mixture)


def measure(
    setting: Setting,
    shape: str,
    device: str,
    steps: int,
    rate: float | None = None,
    watched: Callable[[Callable[[], None]], None] | None = None,
) -> dict[str, Any]:
    """Samples and tokens a second, TFLOPS, MFU (of `rate` TFLOPS) and peak GiB; watched: is given one more step."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    torch.manual_seed(0)
    model = build(shape, device, setting.checkpointing, setting.attention, setting.stage)
    model.llm.fuse_loss(setting.fused_loss)
    collate = Collator(model.llm.chat, model.places, model.llm.context)
    made, plan = asked(setting), cuts(collate, setting)
    used = plan[: steps + WARM]
    ready = [[collate([made[row] for row in rows]) for rows in passes] for passes in used]
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.0, fused=True)
    last = torch.zeros(())

    def step(number: int) -> None:
        nonlocal last
        passes = ready[number % len(ready)]
        for cpu in passes:
            batch = cpu.to(device, non_blocking=True)
            batch.clips = batch.clips.to(torch.bfloat16)
            loss = model(batch) / len(passes)
            loss.backward()
            last = loss.detach()
        optimizer.step()
        optimizer.zero_grad()

    with compiled(model) if setting.compile else nullcontext():
        began = time.perf_counter()
        for number in range(WARM):
            step(number)
        wait(device)
        warm = time.perf_counter() - began
        began = time.perf_counter()
        for number in range(WARM, WARM + steps):
            step(number)
        wait(device)
        seconds = time.perf_counter() - began
        if watched is not None:
            watched(lambda: step(0))
    done = [cpu for number in range(WARM, WARM + steps) for cpu in ready[number % len(ready)]]
    work = sum(flops(model, cpu) for cpu in done) / seconds / 1e12
    real = sum(int(cpu.attention_mask.sum()) for cpu in done)
    return {
        "setting": str(setting),
        "samples_s": steps * setting.batch / seconds,
        "tokens_s": real / seconds,
        "tflops": work,
        "mfu": work / rate if rate else None,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else None,
        "padding": sum(cpu.input_ids.numel() for cpu in done) / real,
        "warm_up_s": warm,
        "loss": last.item() * len(ready[0]),
    }


def generation(shape: str, device: str, questions: int, tokens: int, batch_size: int) -> list[dict[str, Any]]:
    """New tokens a second of the library's `generate`, one question at a time and as they come in batches, and of ours.

    Every answer has exactly `tokens` new tokens, so that all sides do the same work; the ECGs are encoded on each.
    """
    torch.manual_seed(0)
    model = build(shape, device).eval()
    made = items(questions)
    collate = Collator(model.llm.chat, model.places, model.llm.context, generate=True)
    model.llm.stops = [model.llm.lm.config.vocab_size + 1]  # nothing ends before the limit
    lengths = [collate.length(item.sample, [len(clips) for clips in item.clips]) for item in made]
    library = GenerationConfig(do_sample=False, max_new_tokens=tokens, min_new_tokens=tokens, pad_token_id=0)
    rng = np.random.default_rng(0)
    few = max(1, questions // 8)  # one at a time is slow: some of them tell its rate
    plans = {
        "library's generate, one at a time": [[row] for row in range(few)],
        "library's generate, batches as they come": [
            rows.tolist() for rows in np.array_split(rng.permutation(questions), -(-questions // batch_size))
        ],
        "ours: batches of like length": by_length(lengths, [item.sample.id for item in made], batch_size),
    }

    @torch.inference_mode()
    def answer(side: str, rows: list[int]) -> None:
        batch = collate([made[row] for row in rows]).to(device)
        batch.clips = batch.clips.to(torch.bfloat16)
        if side.startswith("ours"):
            model.answer(batch, tokens)
            return
        found = model.llm.lm.generate(
            inputs_embeds=model.embed(batch).to(torch.bfloat16),
            attention_mask=batch.attention_mask.long(),
            generation_config=library,
        )
        assert found.shape[1] == tokens, found.shape

    rows_of = []
    for side, plan in plans.items():
        answer(side, plan[0][:1])
        wait(device)
        began = time.perf_counter()
        for rows in plan:
            answer(side, rows)
        wait(device)
        seconds = time.perf_counter() - began
        count = sum(map(len, plan))
        rows_of.append({"setting": side, "tokens_s": count * tokens / seconds, "questions_s": count / seconds})
    for row in rows_of:
        row["ratio"] = row["tokens_s"] / rows_of[0]["tokens_s"]
    return rows_of


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8, help="samples a step (default 8, the paper's 64 over 8 GPUs)")
    parser.add_argument("--steps", type=int, default=10, help=f"timed steps, after {WARM} to warm up (default 10)")
    parser.add_argument(
        "--checkpointing",
        default="false",
        choices=["false", "true", "selective"],
        help="recompute activations: true as scale=paper does (default false)",
    )
    parser.add_argument("--attention", default="sdpa", help="transformers' attn_implementation (default sdpa)")
    parser.add_argument("--fused-loss", action="store_true", help="logits and cross-entropy in one kernel")
    parser.add_argument("--compile", action="store_true", help="encoder and LLM through torch.compile")
    parser.add_argument("--stage", default="stage2", choices=STAGES, help="what learns, and the mixture")
    parser.add_argument(
        "--peak-tflops", type=float, help="of the device in bfloat16, dense (default: known by its name)"
    )
    parser.add_argument("--shape", default="llama-3-8b", choices=SHAPES)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit(
            "no GPU here: nothing was measured; --shape tiny --device cpu runs the same code without a figure that "
            "means anything"
        )
    checkpointing = {"true": True, "false": False}.get(options.checkpointing, options.checkpointing)
    setting = Setting(
        options.batch, None, checkpointing, options.attention, options.fused_loss, options.compile, options.stage
    )
    rate = options.peak_tflops or peak_rate(options.device)
    row = measure(setting, options.shape, options.device, options.steps, rate)
    name = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    print(f"{options.stage} at the shape {options.shape}, bfloat16, {row['setting']}, {name}")
    print(f"  {row['samples_s']:.2f} samples/s, {row['tokens_s']:.0f} tokens/s, {row['tflops']:.1f} TFLOPS")
    print(
        f"  MFU {row['mfu']:.1%} of {rate:.0f} TFLOPS" if rate else "  no MFU: give the device's rate as --peak-tflops"
    )
    if row["peak_gib"] is not None:
        print(f"  peak memory {row['peak_gib']:.1f} GiB")


if __name__ == "__main__":
    main()
