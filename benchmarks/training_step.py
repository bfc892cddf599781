"""The training step against the plain implementation (benchmarks/plain.py), each in its own process; prints the ratios.

Batches of 8 of Stage 2's mixture (half 10 s 12-lead reports, a third 10 s localization, a sixth 10-60 s localization)
or, with --mixture mixed, of as many reports, short and long localizations and questions over two to six ECGs. Both
sides train the same 48 questions with the same parameters, float32 and AdamW (learning rate and dropout 0, so that
their losses can be held against each other): forward, backward and optimizer step, after one step to warm up. On a
machine that does other things too, only the ratio of processor seconds says something.

    python -m benchmarks.training_step [--llm smollm2] [--size base] [--mixture stage2] [--also
    torch_matmul,random,plain_adamw,fused_loss,bf16,compile]

With --against FOLDER, another checkout of this repository: every stage of the recipe at scale=cpu as Lightning trains
it, loader and callbacks included, five optimizer steps of one checkout and five of the other in turn; prints the
ratio of samples a second (above 1: this checkout is faster).

    python -m benchmarks.training_step --against ../before [--steps 60] [--cache FOLDER] [--set key=value ...]
"""

from __future__ import annotations

import argparse
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch

from anyecg.data.loading.collate import Collator
from anyecg.data.loading.sampling import cut, divide, passes_that_pay
from anyecg.training.compiled import compiled
from anyecg.training.matmul import matmul_by
from benchmarks.checkouts import compare
from benchmarks.mixture import EVERY, MIXTURES, build, items
from benchmarks.plain import plain_attention, plain_loss
from benchmarks.side import machine, report, run

BATCH = 8
BUDGET = 1024  # padded tokens a pass (stages.*.tokens), as experiments/scale/cpu+smollm2.yaml has it
SIDES = {
    "plain": "the plain implementation",
    "fast": f"as training does it: steps as they come, in passes of {BUDGET} tokens (stages.*.tokens)",
    "padded": "fast, but rows are padded to the longest of their pass, as on a GPU",
    "pays": "padded, in as many passes as cost least (neither tokens nor micro_batch on a GPU)",
    "lengths": "fast, but whole batches of like length: no random mixtures, kept to compare with",
    "random": "fast, but whole batches as they come",
    "plain_adamw": "fast, AdamW(fused=False)",
    "fused_loss": "fast, torch's linear_cross_entropy in place of logits and loss (trainer.fused_loss)",
    "bf16": "fast, under bfloat16 autocast (trainer.precision: bf16-mixed)",
    "torch_matmul": "fast, every product by torch's own library (trainer.matmul: torch)",
    "compile": "fast, encoder and LLM compiled (trainer.compile)",
}


def planned(side: str, lengths: np.ndarray) -> list[list[list[int]]]:
    """Steps of passes of questions."""
    rng = np.random.default_rng(0)
    if side not in ("plain", "random", "lengths"):
        steps = rng.permutation(len(lengths)).reshape(-1, BATCH)
        if side == "pays":
            passes = passes_that_pay(lengths[steps])
            assigned = divide(lengths[steps], passes)
        else:
            assigned, passes = cut(lengths[steps], BUDGET)
        return [[step[own == number].tolist() for number in range(passes)] for step, own in zip(steps, assigned)]
    order = np.argsort(lengths, kind="stable") if side == "lengths" else rng.permutation(len(lengths))
    made = order.reshape(-1, BATCH)
    return [[step.tolist()] for step in made]


def measure(side: str, llm: str, size: str, mixture: str) -> None:
    """One side: samples a second over 48 questions, and the summed loss of all answer tokens."""
    model, made = build(llm, size), items(EVERY, mixture=mixture)
    packs = model.llm.packs and side not in ("plain", "padded", "pays", "compile")
    collate = Collator(model.llm.chat, model.places, model.llm.context, pack=packs)
    lengths = np.array([collate.length(item.sample, [len(clips) for clips in item.clips]) for item in made])
    plan = planned(side, lengths)
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=0.0, fused=side not in ("plain", "plain_adamw")
    )
    loss_of = plain_loss if side == "plain" else lambda model, batch: model(batch)
    model.llm.fuse_loss(side == "fused_loss")
    total = 0.0

    def step(passes: list[list[int]]) -> float:
        """One optimizer step; the summed loss of its answer tokens."""
        optimizer.zero_grad()
        summed = 0.0
        for rows in passes:
            batch = collate([made[row] for row in rows])
            with torch.autocast("cpu", torch.bfloat16) if side == "bf16" else nullcontext():
                loss = loss_of(model, batch)
            loss.backward()
            summed += loss.item() * len(batch.answers)
        optimizer.step()
        return summed

    with (
        plain_attention(model) if side == "plain" else compiled(model, side == "compile"),
        matmul_by("torch" if side in ("plain", "torch_matmul") else "auto"),
    ):
        step(plan[0])
        began, worked = time.perf_counter(), time.process_time()
        for passes in plan:
            total += step(passes)
        seconds, processor = time.perf_counter() - began, time.process_time() - worked
    padded = sum(len(rows) * max(lengths[rows]) for passes in plan for rows in passes)
    report(
        rate=len(made) / seconds,
        loss=total,
        step=seconds / len(plan),
        processor=processor / len(plan),
        padding=float((lengths.sum() if packs else padded) / lengths.sum()),
        threads=torch.get_num_threads(),
    )


def main(arguments: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llm", default="smollm2", choices=["tiny", "smollm2"])
    parser.add_argument("--size", default="base", help="of the ViT (default base)")
    parser.add_argument("--mixture", default="stage2", choices=MIXTURES, help="of questions (default stage2)")
    parser.add_argument(
        "--also",
        default="pays,lengths",
        help="further sides, with commas: " + "; ".join(f"{name}: {what}" for name, what in list(SIDES.items())[2:]),
    )
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout, to compare whole stages with")
    parser.add_argument("--steps", type=int, default=60, help="with --against: of each stage (default 60)")
    parser.add_argument("--cache", type=Path, help="with --against: keeps the data of both for another time")
    parser.add_argument("--set", nargs="*", default=[], metavar="key=value", help="with --against: settings of both")
    options = parser.parse_args(arguments)
    if options.against:
        return compare(options.against, options.steps, options.cache, options.set)
    if options.side:
        measure(options.side, options.llm, options.size, options.mixture)
        return {}
    sides = ["plain", "fast", *(name for name in options.also.split(",") if name)]
    found = {
        side: run(
            "benchmarks.training_step",
            "--side",
            side,
            "--llm",
            options.llm,
            "--size",
            options.size,
            "--mixture",
            options.mixture,
        )
        for side in sides
    }
    plain = found["plain"]
    print(
        f"training step, mixture {options.mixture} ({options.llm}, ViT-{options.size}, LoRA, batch {BATCH}, float32, "
        f"{plain['threads']} threads; {machine()})"
    )
    print(f"  {'':22} samples/s  s a step  ratio  processor s  ratio  peak GiB  padded/real  loss of all answers")
    for side, row in found.items():
        print(
            f"  {side:22} {row['rate']:9.3f} {row['step']:9.2f} {row['rate'] / plain['rate']:6.2f} "
            f"{row['processor']:12.2f} {plain['processor'] / row['processor']:6.2f} {row['peak']:9.2f} "
            f"{row['padding']:12.2f} {row['loss']:12.4f}"
        )
    return {
        "ratio": found["fast"]["rate"] / plain["rate"],
        "plain_peak": plain["peak"],
        "fast_peak": found["fast"]["peak"],
    }


if __name__ == "__main__":
    main()
