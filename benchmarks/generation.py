"""Generation against the plain implementation (benchmarks/plain.py), each in its own process; prints the ratios.

Questions of Stage 2's mixture, greedy answers of exactly --tokens new tokens (an untrained connector rambles to the
limit anyway). "plain" decodes without a key-value cache, batches of 8 as they come, clip by clip, attention written
out;
"cached" is
the harder thing to beat: the same batches, encoder and attention, but with the library's cache. "fast" is what
evaluation does.

    python -m benchmarks.generation [--llm smollm2] [--size base] [--questions 24] [--tokens 32]
"""

from __future__ import annotations

import argparse
import time
from contextlib import nullcontext

import numpy as np
import torch

from anyecg.answerers.language_model import by_length
from anyecg.data.loading.collate import Collator
from benchmarks.mixture import build, items
from benchmarks.plain import plain_answer, plain_attention, plain_embed
from benchmarks.side import machine, report, run

PLAIN_BATCH, BATCH = 8, 32
SIDES = ("plain", "cached", "fast")


def measure(side: str, llm: str, size: str, questions: int, tokens: int) -> None:
    """One side: questions a second; a warm-up question first."""
    model, made = build(llm, size).eval(), items(questions)
    model.llm.stops = [len(model.llm.tokenizer) + 1]  # nothing ends before the limit: the same work on every side
    collate = Collator(model.llm.chat, model.places, model.llm.context, generate=True)
    lengths = [collate.length(item.sample, [len(clips) for clips in item.clips]) for item in made]
    if side == "fast":
        plan = by_length(lengths, [item.sample.id for item in made], BATCH)
    else:
        plan = np.array_split(np.random.default_rng(0).permutation(questions), -(-questions // PLAIN_BATCH))

    def answer(rows) -> list[str]:
        batch = collate([made[row] for row in rows])
        if side == "plain":
            return plain_answer(model, batch, tokens)
        if side == "cached":
            with torch.inference_mode():
                return model.llm.generate(plain_embed(model, batch), batch.attention_mask, tokens)
        return [prediction.text for prediction in model.answer(batch, tokens)]

    answers: dict[int, str] = {}
    with nullcontext() if side == "fast" else plain_attention(model):
        answer(plan[0][:1])
        began = time.perf_counter()
        for rows in plan:
            answers |= zip(map(int, rows), answer(rows), strict=True)
        seconds = time.perf_counter() - began
    report(
        rate=questions / seconds,
        answers=[answers[number] for number in range(questions)],
        threads=torch.get_num_threads(),
    )


def main(arguments: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llm", default="smollm2", choices=["tiny", "smollm2"])
    parser.add_argument("--size", default="base", help="of the ViT (default base)")
    parser.add_argument("--questions", type=int, default=24, help="default 24")
    parser.add_argument("--tokens", type=int, default=32, help="new tokens an answer (default 32)")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.side:
        measure(options.side, options.llm, options.size, options.questions, options.tokens)
        return {}
    shared = (
        "--llm",
        options.llm,
        "--size",
        options.size,
        "--questions",
        options.questions,
        "--tokens",
        options.tokens,
    )
    found = {side: run("benchmarks.generation", "--side", side, *shared) for side in SIDES}
    plain = found["plain"]
    print(
        f"generation ({options.llm}, ViT-{options.size}, {options.questions} questions, {options.tokens} new tokens "
        f"each, float32, {plain['threads']} threads; {machine()})"
    )
    print(f"  {'':8} questions/s  ratio  peak GiB  answers as plain")
    for side, row in found.items():
        same = sum(a == b for a, b in zip(row["answers"], plain["answers"], strict=True))
        print(
            f"  {side:8} {row['rate']:11.3f} {row['rate'] / plain['rate']:6.2f} {row['peak']:9.2f}  {same} of "
            f"{options.questions}"
        )
    return {
        "ratio": found["fast"]["rate"] / plain["rate"],
        "plain_peak": plain["peak"],
        "fast_peak": found["fast"]["peak"],
    }


if __name__ == "__main__":
    main()
