"""Draw a page of examples of a built dataset, each with its question and answer, and print them as text.

Examples are drawn by seed, of each kind of question in turn. A localization is shaded on its trace, under the
annotations of its beats; of a long ECG two leads are shown, of one of ten seconds the twelve.
"""

from __future__ import annotations

import argparse
import random
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

from anyecg.data.chance import chance
from anyecg.data.dataset.built import open_dataset
from anyecg.data.dataset.questions_file import Questions
from anyecg.data.store.store import Stores
from anyecg.plots.trace import INK, QUIET, TRUE, WIDEST, Beat, Panel, rhythm_leads, strips, twelve_leads
from anyecg.tasks.base import Task
from anyecg.tasks.questions import scoring_tasks
from anyecg.types import CANONICAL_LEADS, MARKER, SPLITS, ConfigError, DataError, ECGSample, Window

COLUMN, GUTTER, EDGE = 200.0, 12.0, 10.0  # mm: a column of examples, what lies between two, and around the page
LEADING, GAP = 4.1, 3.0  # mm: from line to line of text, and between ECGs side by side
TEXT = 8.5  # points
MM = 1 / 25.4  # inches
PAGE = 11.0  # s of an ECG at most that is drawn as a page of twelve leads
LONGEST = 60.0  # s of an ECG that are drawn
FEW = 4  # leads up to which an ECG is drawn as strips, whatever its length
TRIED = 200  # questions of each pool that are looked at


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="the folder that `build` made")
    parser.add_argument("--task", help="only questions of this task, such as localization")
    parser.add_argument("--split", choices=SPLITS, default="test", help="of which split (default test)")
    parser.add_argument("--n", type=int, default=6, help="how many examples (default 6)")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other examples (default 0)")
    parser.add_argument(
        "--out", type=Path, default=Path("examples.png"), help="the picture, .png or .pdf (default examples.png)"
    )


def run(options: argparse.Namespace) -> None:
    if options.n < 1:
        raise ConfigError(f"show: --n {options.n} leaves nothing to draw; give 1 or more")
    if options.out.suffix not in (".png", ".pdf"):
        raise ConfigError(f"show: --out {options.out}: give a name that ends in .png or .pdf")
    data = open_dataset(options.dataset)
    tasks = scoring_tasks(data.questions.info)
    samples = examples(data.questions, options.split, options.task, options.n, options.seed)
    for number, sample in enumerate(samples, start=1):
        print(f"{number}. {title(sample, tasks)}\n   {source(sample, data.stores)}")
        for speaker, text in turns(sample):
            print(textwrap.fill(text, 110, initial_indent=f"   {speaker}: ", subsequent_indent="      "))
    figure = page(
        samples, data.stores, f"{options.dataset.resolve().name}: {options.split} split, seed {options.seed}", tasks
    )
    partial = options.out.with_name(f"{options.out.name}.part")
    try:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(partial, format=options.out.suffix[1:], dpi=150)
        partial.replace(options.out)
    except OSError as error:
        raise DataError(f"{options.out} cannot be written ({error.strerror}); give another name with --out") from error
    print(f"{len(samples)} examples drawn in {options.out}")


def examples(questions: Questions, split: str, task: str | None, count: int, seed: int) -> list[ECGSample]:
    """`count` questions of a split (fewer if there are fewer), of each pool in turn, pool by pool; DataError where
    there is none.
    """
    rows = questions.select(split=split, **({"task": task} if task else {}))
    pools = questions.column("pool")[rows]
    kinds = {pool: _drawn(questions, rows[pools == pool], chance(seed, "show", pool)) for pool in dict.fromkeys(pools)}
    if not kinds:
        there = ", ".join(sorted({*questions.column("task")[questions.select(split=split)]})) or "none at all"
        raise DataError(
            f"{questions.path}: there is no question of {f'task {task}' if task else 'any task'} in split {split} "
            f"(there: {there})"
        )
    in_turn = (sample for turn in zip_longest(*kinds.values()) for sample in turn if sample is not None)
    return sorted(islice(in_turn, count), key=lambda sample: list(kinds).index(sample.pool))


def _drawn(questions: Questions, rows: np.ndarray, rng: random.Random) -> Iterator[ECGSample]:
    """Questions of one pool in an order of chance; of localizations, those with something to find and those without
    in turn.
    """
    samples = [questions[row] for row in rng.sample(rows.tolist(), min(TRIED, len(rows)))]
    found = [[sample for sample in samples if bool(sample.meta.get("intervals")) == wanted] for wanted in (True, False)]
    return (sample for sample in chain.from_iterable(zip_longest(*found)) if sample is not None)


def title(sample: ECGSample, tasks: Mapping[str, Task]) -> str:
    """ "Localization: mit_bih_arrhythmia_long"."""
    name = (sample.task in tasks and tasks[sample.task].title) or sample.task
    return f"{name}: {sample.subset}" if sample.subset else name


def source(sample: ECGSample, stores: Stores) -> str:
    """The records of a question and their windows, and whose they are."""
    return f"{', '.join(_window(window, stores) for window in sample.records)} (patient {sample.patient})"


def _window(window: Window, stores: Stores) -> str:
    whole = window.start == 0 and stores.seconds(window) == stores.seconds(window.record)
    return window.record if whole else f"{window.record} from {window.start:.2f} s, {stores.seconds(window):.1f} s"


def turns(sample: ECGSample) -> Iterator[tuple[str, str]]:
    """("Q" or "A", text) of each turn on one line; the place of an ECG among several is a small wave."""
    for turn in sample.conversation:
        text = turn.text.replace(MARKER, "" if len(sample.records) == 1 else "∿")
        yield "A" if turn.role == "assistant" else "Q", " ".join(text.split())


def panels(sample: ECGSample, stores: Stores) -> list[Panel]:
    """The ECGs of a question as drawn."""
    drawn = []
    for window in sample.records:
        end = window.start + min(stores.seconds(window), LONGEST)
        signal, mask = stores.read(Window(window.record, window.start, end))
        if "intervals" not in sample.meta and end - window.start < PAGE and mask.sum() > FEW:
            drawn.append(twelve_leads(signal, mask, fs=stores.fs))
            continue
        leads = rhythm_leads(signal, mask)
        beats = _beats(stores, window.record, window.start, end, sample.meta.get("symbol"))
        drawn.append(
            strips(
                signal[leads],
                [CANONICAL_LEADS[lead] for lead in leads],
                fs=stores.fs,
                shaded=sample.meta.get("intervals", ()),
                beats=beats,
            )
        )
    return drawn


def _beats(stores: Stores, record: str, start: float, end: float, asked: str | None) -> list[Beat]:
    """The annotations of a window, in seconds from its start."""
    table = stores[record.partition("/")[0]].table(["id", "annotation_times", "annotation_symbols"])
    (row,) = table.filter(pc.equal(table["id"], record)).to_pylist()
    pairs = zip(row["annotation_times"], row["annotation_symbols"])
    return [Beat(time - start, symbol, symbol == asked) for time, symbol in pairs if start <= time < end]


@dataclass(frozen=True)
class Block:
    """One example as it lies on the page: lines of text (words, colour, weight) over its ECGs, each under its name."""

    lines: list[tuple[str, str, str]]
    panels: list[Panel]
    names: list[str]

    @property
    def across(self) -> int:
        """How many ECGs lie side by side."""
        return max(1, min(len(self.panels), 2 if len(self.panels) <= 4 else 3))

    @property
    def scale(self) -> float:
        """mm on the page of a mm of paper."""
        return (COLUMN - GAP * (self.across - 1)) / self.across / max([WIDEST, *(panel.width for panel in self.panels)])

    @property
    def rows(self) -> list[tuple[float, list[tuple[str, Panel]]]]:
        """Rows of ECGs, each with the height in mm of paper that all of it has."""
        named = list(zip(self.names, self.panels))
        rows = [named[first : first + self.across] for first in range(0, len(named), self.across)]
        return [(max(panel.height for _, panel in row), row) for row in rows]

    @property
    def height(self) -> float:
        """mm on the page."""
        captions = LEADING * (len(self.panels) > 1)
        return LEADING * len(self.lines) + sum(captions + self.scale * high + GAP for high, _ in self.rows)


def block(number: int, sample: ECGSample, stores: Stores, tasks: Mapping[str, Task]) -> Block:
    """An example laid out in a column."""
    whose = source(sample, stores) if len(sample.records) == 1 else f"patient {sample.patient}"
    lines = [
        (f"{number}  {title(sample, tasks)}", INK, "bold"),
        *((line, QUIET, "normal") for line in wrapped(whose, "normal")),
    ]
    for speaker, text in turns(sample):
        colour, weight = (TRUE, "bold") if speaker == "A" else (INK, "normal")
        lines += [(line, colour, weight) for line in wrapped(f"{speaker}:  {text}", weight)]
    names = [f"ECG {k}: {_window(window, stores)}" for k, window in enumerate(sample.records, start=1)]
    return Block(lines, panels(sample, stores), names if len(names) > 1 else [""] * len(names))


def wrapped(text: str, weight: str) -> list[str]:
    """Text in lines that fit a column."""
    font, measure = FontProperties(size=TEXT, weight=weight), TextToPath().get_text_width_height_descent
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and measure(longer, font, False)[0] / 72 > COLUMN * MM:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def page(samples: Sequence[ECGSample], stores: Stores, heading: str, tasks: Mapping[str, Task]) -> Figure:
    """The examples in two columns, each in the column that is shorter so far."""
    blocks = [block(number, sample, stores, tasks) for number, sample in enumerate(samples, start=1)]
    filled = [0.0] * min(2, len(blocks))
    places = []
    for one in blocks:
        column = filled.index(min(filled))
        places.append((EDGE + column * (COLUMN + GUTTER), 2 * EDGE + filled[column]))
        filled[column] += one.height + GUTTER
    width, height = 2 * EDGE + COLUMN * len(filled) + GUTTER * (len(filled) - 1), 2 * EDGE + max(filled)
    figure = Figure(figsize=(width * MM, height * MM), facecolor="white")

    def write(words: str, left: float, top: float, **how) -> None:
        figure.text(left / width, 1 - top / height, words, va="top", parse_math=False, **{"fontsize": TEXT, **how})

    write(heading, EDGE, EDGE, fontsize=11, weight="bold", color=INK)
    write(
        "25 mm/s (longer ECGs 12.5 mm/s), 10 mm/mV, pulse 1 mV; letters: beats as annotated",
        width - EDGE,
        EDGE,
        ha="right",
        color=QUIET,
    )
    for (left, top), one in zip(places, blocks):
        for words, colour, weight in one.lines:
            write(words, left, top, color=colour, weight=weight)
            top += LEADING
        for high, row in one.rows:
            for place, (name, panel) in enumerate(row):
                x = left + place * (COLUMN + GAP) / one.across
                y = top + LEADING * bool(name)
                write(name, x, top, color=QUIET, fontsize=TEXT - 1)
                size = panel.width * one.scale / width, high * one.scale / height
                panel.draw(figure.add_axes((x / width, 1 - y / height - size[1], *size)), high, one.scale)
            top += LEADING * bool(name) + high * one.scale + GAP
    return figure
