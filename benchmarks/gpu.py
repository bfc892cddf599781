"""Tokens a second and MFU of Stage 2's training step on a GPU, at Llama-3-8B's shape, random weights, bfloat16; also
prints memory.

MFU counts the FLOPs that the step's maths needs: forward and backward through the frozen LLM's activations (4 a weight
and real token), the encoder and connector with their weight gradients (6 a weight and token), logits at answers,
attention as causal; padding and recomputed activations count as no work. The peak is the device's dense bfloat16 rate.

    python -m benchmarks.gpu [--batch 8] [--steps 10] [--checkpointing] [--peak-tflops 989] [--shape tiny --device cpu]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from anyecg.connectors import connectors
from anyecg.data.loading.collate import Collator
from anyecg.encoders import encoders
from anyecg.fusion import fusions
from anyecg.llms.base import LanguageModel, LLMConfig
from anyecg.llms.lora import LoRAConfig
from anyecg.llms.smollm2 import converted
from anyecg.model import ECGLanguageModel
from benchmarks.mixture import EVERY, items

# TFLOPS, dense bfloat16 (vendor's figures; SXM where there are two)
PEAKS = {"H100": 989, "H200": 989, "A100": 312, "L40S": 362, "L4": 121}
LLAMA = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
}
TINY = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 49152,
}


def build(shape: str, device: str, checkpointing: bool) -> ECGLanguageModel:
    """ViT-base, the connector and a random LLM, all on the device; SmolLM2's tokenizer, whose ids all exist in both
    vocabularies.
    """
    config = LlamaConfig(
        **(LLAMA if shape == "llama-3-8b" else TINY),
        max_position_embeddings=8192,
        rope_theta=500000.0,
        attn_implementation="sdpa",
    )
    with torch.device(device):
        torch.set_default_dtype(torch.bfloat16)
        llm = LlamaForCausalLM(config)
        torch.set_default_dtype(torch.float32)
        vit = encoders["vit"](encoders["vit"].Config(size="base" if shape == "llama-3-8b" else "tiny")).bfloat16()
        joint = connectors["mlp"](connectors["mlp"].Config(), vit.dim, config.hidden_size).bfloat16()
    cfg = LLMConfig(lora=LoRAConfig(float32=False), gradient_checkpointing=checkpointing)
    language = LanguageModel(cfg, llm, AutoTokenizer.from_pretrained(converted(None)), shape)
    fusion = fusions["tokens"](fusions["tokens"].Config(), language, *joint.tokens(vit.prefix, vit.patches))
    model = ECGLanguageModel(vit, joint, fusion, language).to(device)
    model.train_only(["encoder", "connector", "markers", "llm"])
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


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8, help="samples a step (default 8, the paper's 64 over 8 GPUs)")
    parser.add_argument("--steps", type=int, default=10, help="timed steps, after 3 to warm up (default 10)")
    parser.add_argument("--checkpointing", action="store_true", help="recompute activations, as scale=paper does")
    parser.add_argument(
        "--peak-tflops", type=float, help="of the device in bfloat16, dense (default: known by its name)"
    )
    parser.add_argument("--shape", default="llama-3-8b", choices=["llama-3-8b", "tiny"])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit(
            "no GPU here: nothing was measured; --shape tiny --device cpu runs the same code without a figure that "
            "means anything"
        )
    model = build(options.shape, options.device, options.checkpointing)
    collate = Collator(model.llm.chat, model.places, model.llm.context)
    made = items(EVERY * -(-options.batch // 8))
    lengths = np.array([collate.length(item.sample, [len(clips) for clips in item.clips]) for item in made])
    # passes of like length, as tokens make them of larger steps
    plan = np.argsort(lengths, kind="stable").reshape(-1, options.batch)
    ready = [collate([made[row] for row in rows]) for rows in plan.tolist()]
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.0, fused=True)
    wait = torch.cuda.synchronize if options.device == "cuda" else lambda: None
    work, tokens, began = 0.0, 0, 0.0
    for number in range(-3, options.steps):
        if number == 0:
            wait()
            began = time.perf_counter()
        cpu = ready[number % len(ready)]
        batch = cpu.to(options.device, non_blocking=True)
        batch.clips = batch.clips.to(torch.bfloat16)
        model(batch).backward()
        optimizer.step()
        optimizer.zero_grad()
        if number >= 0:
            work, tokens = work + flops(model, cpu), tokens + int(cpu.attention_mask.sum())
    wait()
    seconds = time.perf_counter() - began
    name = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    peak = options.peak_tflops or next((rate for key, rate in PEAKS.items() if key in name), None)
    print(f"Stage 2 at the shape {options.shape}, bfloat16, batch {options.batch}, {name}")
    print(
        f"  {options.steps * options.batch / seconds:.2f} samples/s, {tokens / seconds:.0f} tokens/s, "
        f"{work / seconds / 1e12:.1f} TFLOPS"
    )
    print(
        f"  MFU {work / seconds / 1e12 / peak:.1%} of {peak:.0f} TFLOPS"
        if peak
        else "  no MFU: give the device's rate as --peak-tflops"
    )
    if options.device == "cuda":
        print(f"  peak memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")


if __name__ == "__main__":
    main()
