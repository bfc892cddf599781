"""Draw the findings that the simulator knows, each as a small page of twelve leads, or one of them with its rhythm
strip.
"""

from __future__ import annotations

import argparse

import numpy as np

from anyecg.cli.terminal import place, whole
from anyecg.files import atomic_write
from anyecg.findings import FINDINGS
from anyecg.plots.sheet import sheet
from anyecg.plots.trace import Panel, twelve_leads
from anyecg.simulate import ecg
from anyecg.types import ConfigError, InputSpec

CLEAR_SEED = 3
SMALL, LARGE = 100.0, 260.0  # mm, of a page among others and of one alone


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=place, metavar="OUT", help="the picture, .png or .pdf")
    parser.add_argument(
        "--finding",
        choices=[finding.key for finding in FINDINGS],
        metavar="KEY",
        help="only this finding, such as atrial_fibrillation",
    )
    parser.add_argument("--seed", type=whole(0), default=CLEAR_SEED, help=f"of the heart (default {CLEAR_SEED})")


def run(options: argparse.Namespace) -> None:
    if options.out.suffix not in (".png", ".pdf"):
        raise ConfigError(f"findings: {options.out}: give a name that ends in .png or .pdf")
    if options.finding:
        panel, report = page(options.finding, options.seed)
        figure = sheet([(", ".join(report), panel)], columns=1, width=LARGE)
    else:
        shown = [finding for finding in FINDINGS if finding.kind != "summary"]
        figure = sheet(
            [(one.name, page(one.key, options.seed, rhythm=False)[0]) for one in shown], columns=4, width=SMALL
        )
    with atomic_write(options.out) as part:
        figure.savefig(part, format=options.out.suffix[1:], dpi=110)
    print(f"drawn in {options.out}")


def page(finding: str, seed: int, rhythm: bool = True) -> tuple[Panel, tuple[str, ...]]:
    """Ten seconds of a simulated finding on paper, and the lines of its report."""
    signal, _, report = ecg([finding], fs=InputSpec.fs, seed=seed)  # [12, 1000] mV
    return twelve_leads(signal, np.ones(12, bool), rhythm=rhythm), report
