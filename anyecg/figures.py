"""Figures of finished runs, as PNG and PDF, from what they left: `python -m anyecg.figures RUN...`.

    python -m anyecg.figures runs/anyecg_chat                           into runs/anyecg_chat/figures
    python -m anyecg.figures runs/anyecg_chat runs/ablation_no_replay   and what each changes, compared with the first
    python -m anyecg.figures runs/anyecg_chat --to paper/figures

Drawn from `metrics.json` and the stages' loss curves: loss, controls (every task in every view), iou (localization by subset and
abnormality), scores (distributions over several ECGs); differences, with intervals, from the scores of several runs.
Localizations on the trace are drawn by the run itself, which has the signals.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from anyecg.evaluation import bars, figures
from anyecg.evaluation.published import load as load_published
from anyecg.terminal import guarded
from anyecg.types import DataError

LANGUAGE = "language"  # the stage before the curriculum, where an LLM has no weights of its own


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m anyecg.figures", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a finished run; the others are compared with the first")
    parser.add_argument("--to", type=Path, metavar="DIR", help="where to (default: figures/ in each run; with several runs a folder a run there)")
    parser.add_argument("--bootstrap", type=int, default=1000, metavar="N", help="resamples of patients for the differences (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    options = parser.parse_args(arguments)
    return guarded(lambda: draw(options))


def draw(options: argparse.Namespace) -> None:
    """Draw everything that the runs have, and say what was drawn and what not."""
    if len({run.name for run in options.runs}) < len(options.runs):
        raise DataError("two of the runs have the same name; give each once")
    for run in options.runs:
        folder = options.to / run.name if options.to and len(options.runs) > 1 else options.to or run / "figures"
        for path in run_figures(run, folder):
            print(path)
    if len(options.runs) > 1:
        folder = options.to or options.runs[0] / "figures"
        for path in figures.ablation_differences(differences(options.runs, options.bootstrap, options.seed), folder / "differences"):
            print(path)


def run_figures(run: Path, folder: Path) -> Iterator[Path]:
    """The figures of one run, each as it is drawn."""
    yield from bars.metric_figures(read_metrics(run), folder)
    if curves := loss_curves(run):
        yield from figures.loss_curves(curves, folder / "loss")
    else:
        print(f"{run}: no loss curves: its stages are gone", file=sys.stderr)


def read_metrics(run: Path) -> Mapping[str, Any]:
    """A run's `metrics.json`; DataError where there is none to be read."""
    path = run / "metrics.json"
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        if not all({"primary", "views", "n"} <= task.keys() for task in metrics["tasks"].values()):
            raise ValueError("its tasks lack primary, views or n")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} cannot be drawn ({error}); give the folder of a finished run") from error
    return metrics


def loss_curves(run: Path) -> dict[str, Path]:
    """Stage -> its loss curve, in the order of the curriculum; stages whose output is gone are left out."""
    found = {path.parent.name: path for path in (run / "stages").glob("*/loss.csv")}
    try:
        order = [LANGUAGE, *yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))["curriculum"]]
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        order = []
    return {name: found[name] for name in sorted(found, key=lambda name: (order.index(name) if name in order else len(order), name))}


def differences(runs: Sequence[Path], resamples: int, seed: int) -> list[figures.Difference]:
    """What each run changes in each task's primary metric, compared with the first, and what the paper says of its setting."""
    from anyecg.compare import read_run, shared_tasks  # one run's figures need no bootstrap
    from anyecg.evaluation.differences import Setting, measure

    read = [read_run(run) for run in runs]
    settings = [Setting(run.name, run.config.get("paper_row"), {0: run.rows}) for run in read]
    cells = [cell for task in shared_tasks(read)[0] for cell in measure(settings, task, load_published(), n=resamples, seed=seed)]
    return [(cell.setting, cell.task, cell.change[0], *(cell.change[1] or (None, None)), cell.paper_change) for cell in cells if cell.change]


if __name__ == "__main__":
    sys.exit(main())
