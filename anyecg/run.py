"""The main job: data, curriculum, evaluation and tables of one experiment.

python -m anyecg.run experiments/anyecg_chat.yaml                 everything at scale=cpu
python -m anyecg.run experiments/ablation_no_lead_emb.yaml seed=1  overrides are key=value
python -m anyecg.run experiments/anyecg_chat.yaml llm=smollm2
python -m anyecg.run experiments/table8.yaml seeds=[0,1,2]         a suite: the recipe and its ablations in one table
python -m anyecg.run experiments/anyecg_chat.yaml scale=paper --plan   what every stage would take; trains nothing
python -m anyecg.run --list                                        every registered component
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from anyecg.cli.components import list_components
from anyecg.cli.terminal import guarded


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m anyecg.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "experiment",
        nargs="?",
        help="an experiment file, e.g. experiments/anyecg_chat.yaml, or a suite of them, experiments/table8.yaml",
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="changes to it, e.g. scale=gpu seed=1 encoder.size=small llm=smollm2",
    )
    parser.add_argument("--list", action="store_true", help="name every registered component and leave")
    parser.add_argument("--show", action="store_true", help="print the resolved configuration and leave")
    parser.add_argument(
        "--plan",
        action="store_true",
        help="say what an experiment's stages would take (parameters, tokens, FLOPs, memory, hours), or what "
        "a suite would train and what it would reuse, and leave",
    )
    parser.add_argument(
        "--mfu",
        type=float,
        default=0.4,
        help="with --plan: share of the peak that goes into the model (default: %(default)s)",
    )
    parser.add_argument(
        "--peak",
        type=float,
        default=989e12,
        metavar="FLOPS",
        help="with --plan: FLOP/s of one GPU (default: %(default)s, an H100 in bfloat16)",
    )
    options = parser.parse_intermixed_args(arguments)
    if not options.list and not options.experiment:
        parser.error("which experiment? e.g. experiments/anyecg_chat.yaml")

    def command() -> None:
        if options.list:
            list_components()
            return
        from anyecg.cli.run import dispatch  # torch and all that needs it: not for --help

        dispatch(options)

    return guarded(command)


if __name__ == "__main__":
    sys.exit(main())
