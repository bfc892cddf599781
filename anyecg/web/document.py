"""A conversation to keep: as JSON, and as one page of PDF with traces, questions and answers. No name and no id of a
file or a patient is in either.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from anyecg import __version__
from anyecg.files import atomic_write
from anyecg.plots.picture import layout_panel
from anyecg.plots.trace import INK, QUIET
from anyecg.web.about import BANNER, About
from anyecg.web.conversation import Exchange
from anyecg.web.ecgs import Shown, View
from anyecg.web.said import Span

WIDTH, HEIGHT, EDGE = 210.0, 297.0, 10.0  # mm: A4
INCH = 25.4
TRACES = 0.5  # of the page that traces take at most
DPI = 150
LETTERS, ROW = 118, 3.6  # characters of a line of text, and its height in mm
MORE = "… the page is full; the JSON has the rest."


def to_json(exchanges: Sequence[Exchange], ecgs: Sequence[Shown], about: About) -> dict[str, Any]:
    """The conversation as plain values: model, ECGs (no millivolts), questions, answers and what was found of them."""
    return {
        "anyecg": __version__,
        "disclaimer": " ".join(filter(None, (BANNER, about.caution))),
        "model": {"name": about.name, "id": about.id, "trained_on_simulated_ecgs": about.simulated},
        "ecgs": [
            {
                "number": number + 1,
                "date": shown.date or None,
                "seconds": round(shown.seconds, 3),
                "hz": shown.fs,
                "leads": list(shown.leads),
                "notes": list(shown.record.notes),
                "quality": [issue.text for issue in shown.issues],
                "measured": dict(shown.measured),
            }
            for number, shown in enumerate(ecgs)
        ],
        "exchanges": [_exchange(exchange) for exchange in exchanges],
    }


def _exchange(exchange: Exchange) -> dict[str, Any]:
    badge = exchange.badge
    return {
        "question": exchange.question,
        "answer": exchange.answer,
        "state": exchange.state,
        "error": exchange.error or None,
        "ecgs": exchange.ecgs,
        "hidden_leads": list(exchange.hidden),
        "new_dialogue": exchange.anew,
        "spans": [{"ecg": span.ecg + 1, "start": span.start, "end": span.end} for span in exchange.spans],
        "leads": list(exchange.leads),
        "disagreements": list(exchange.disagreements),
        "without_the_ecg": badge and {"verdict": badge.text, "blind": badge.blind, "another_ecg": badge.other},
        "seconds": round(exchange.seconds, 2),
    }


def to_pdf(exchanges: Sequence[Exchange], ecgs: Sequence[Shown], about: About, view: View) -> bytes:
    """One A4 page: the traces with the spans of the last answer, questions and answers, model and disclaimer."""
    figure = Figure(figsize=(WIDTH / INCH, HEIGHT / INCH), facecolor="white")
    last = next((exchange for exchange in reversed(exchanges) if exchange.ended and exchange.answer), None)
    top = _words(figure, EDGE, [BANNER, *([about.caution] if about.caution else [])], weight="bold")
    if ecgs:
        room = TRACES * HEIGHT / len(ecgs) - 6.0
        for number, shown in enumerate(ecgs):
            top = draw(
                figure, top + 2.0, number, shown, view, last.spans if last else (), last.leads if last else (), room
            )
    bottom = HEIGHT - EDGE - 2 * ROW
    for exchange in exchanges:
        lines = _lines(exchange)
        left = int((bottom - top - 2.0) / ROW)
        if len(lines) > left:
            top = _words(figure, top + 2.0, [*lines[: max(0, left - 1)], MORE])
            break
        top = _words(figure, top + 2.0, lines)
    footer = f"Model {about.name} ({about.id}), anyecg {__version__}."
    _words(figure, bottom + ROW, [footer], colour=QUIET)
    page = io.BytesIO()
    figure.savefig(page, format="pdf", metadata={"CreationDate": None, "Title": "ECG conversation", "Author": None})
    return page.getvalue()


def to_png(path: Path, exchange: Exchange, ecgs: Sequence[Shown], about: About, view: View) -> None:
    """A picture of an exchange: each ECG with what the answer names, and the words below them."""
    width = max(shown.layout(view).width for shown in ecgs) + 2 * EDGE
    words = [*_lines(exchange), " ".join(filter(None, (BANNER, about.caution)))]
    heights = [shown.layout(view).height for shown in ecgs]
    height = sum(heights) + 8.0 * len(ecgs) + ROW * len(words) + 2 * EDGE
    figure = Figure(figsize=(width / INCH, height / INCH), facecolor="white")
    top = EDGE / 2
    for number, shown in enumerate(ecgs):
        room = heights[number]
        top = draw(figure, top, number, shown, view, exchange.spans, exchange.leads, room, width, height) + 2.0
    _words(figure, top + 2.0, words, width=width, height=height)
    with atomic_write(path) as part:
        figure.savefig(part, format="png", dpi=DPI)


def draw(
    figure: Figure,
    top: float,
    number: int,
    shown: Shown,
    view: View,
    spans: Sequence[Span],
    leads: Sequence[str],
    room: float,
    width: float = WIDTH,
    height: float = HEIGHT,
) -> float:
    """Draw an ECG under its title, `top` mm below the upper edge, at most `room` mm high; returns where it ends."""
    layout = shown.layout(view)
    own = [(span.start, span.end) for span in spans if span.ecg == number]
    panel = layout_panel(shown.signal, shown.fs, layout, spans=own, lit=leads)
    scale = min((width - 2 * EDGE) / panel.width, room / panel.height)
    title = f"ECG {number + 1}" + (f" · {shown.date}" if shown.date else "")
    title += f" · {view.speed:g} mm/s, {view.gain:g} mm/mV" + (
        f", drawn at {100 * scale:.0f} %" if abs(scale - 1) > 0.005 else ""
    )
    figure.text(EDGE / width, 1 - (top + 3.0) / height, title, fontsize=8, color=INK, parse_math=False)
    top += 4.0
    axes = figure.add_axes(
        (
            EDGE / width,
            1 - (top + scale * panel.height) / height,
            scale * panel.width / width,
            scale * panel.height / height,
        )
    )
    panel.draw(axes, panel.height, scale)
    return top + scale * panel.height


def _lines(exchange: Exchange) -> list[str]:
    """What the page says of an exchange, in lines that fit."""
    said = [f"Q  {exchange.question}", f"A  {exchange.answer or exchange.error or '(no answer)'}"]
    if exchange.hidden:
        said.append(f"   asked without {', '.join(exchange.hidden)}")
    if exchange.state == "stopped":
        said.append("   stopped: the answer is not whole")
    if exchange.badge:
        said.append(f"   {exchange.badge.text}")
    said += [f"   {text}" for text in exchange.disagreements]
    return [line for text in said for line in textwrap.wrap(text, LETTERS, subsequent_indent="   ") or [""]]


def _words(
    figure: Figure,
    top: float,
    lines: Sequence[str],
    weight: str = "normal",
    colour: str = INK,
    width: float = WIDTH,
    height: float = HEIGHT,
) -> float:
    """Write lines from `top` mm on; returns where they end."""
    for line in lines:
        figure.text(
            EDGE / width,
            1 - (top + ROW - 0.8) / height,
            line,
            fontsize=7.5,
            color=colour,
            weight=weight,
            parse_math=False,
        )
        top += ROW
    return top
