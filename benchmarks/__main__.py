"""Every benchmark of the fast path, one after the other, each against the plain implementation in the same run; a table
at the end.

    python -m benchmarks                 # a few minutes on two quiet cores
    python -m benchmarks --llm tiny --size tiny --rows 20000

On a GPU it ends with tokens a second and MFU at Llama-3-8B's shape (benchmarks.gpu).
"""

from __future__ import annotations

import argparse

import torch

from benchmarks import data_path, generation, gpu, start_up, training_step


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--llm", default="smollm2", choices=["tiny", "smollm2"])
    parser.add_argument("--size", default="base", help="of the ViT (default base)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the start-up's manifest (default a million)")
    parser.add_argument(
        "--also",
        default="lengths",
        help="further sides of the training step, with commas (see benchmarks.training_step --help)",
    )
    options = parser.parse_args()
    model = ["--llm", options.llm, "--size", options.size]
    path = data_path.main([])
    step = training_step.main([*model, "--also", options.also])
    mixed = training_step.main([*model, "--mixture", "mixed", "--also", ""])
    words = generation.main(model)
    start = start_up.main(["--rows", str(options.rows), "--size", options.size])
    print(f"\n{'':34} {'ratio':>7}  target")
    print(f"{'data path, a sample':34} {path['ratio']:7.1f}  20")
    print(f"{'training step, with several ECGs':34} {mixed['ratio']:7.2f}  1.5")
    print(
        f"{'training step, samples a second':34} {step['ratio']:7.2f}  2.5, at no more memory "
        f"({step['fast_peak']:.2f} against {step['plain_peak']:.2f} GiB)"
    )
    print(
        f"{'generation, questions a second':34} {words['ratio']:7.2f}  4 ({words['fast_peak']:.2f} against "
        f"{words['plain_peak']:.2f} GiB)"
    )
    print(f"{'a sample of 100,000 against 1,000':34} {start['ratio']:7.2f}  1.10 at most")
    print(f"{'resumed start-up, seconds':34} {start['again']:7.1f}  30 at most")
    if torch.cuda.is_available():
        gpu.main([])


if __name__ == "__main__":
    main()
