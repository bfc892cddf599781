"""An ECG and a conversation as HTML. Whatever comes from a file, a user or a model is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from anyecg.plots.svg import sheet_svg
from anyecg.session import Reading
from anyecg.tasks.measure.quantities import quantity
from anyecg.types import InputSpec
from anyecg.web.about import BANNER, About
from anyecg.web.badge import OTHER_WORDS, Badge
from anyecg.web.conversation import Exchange
from anyecg.web.ecgs import Shown, View, given
from anyecg.web.measure import TITLES

STATES = {
    "waiting": "waiting for the model …",
    "writing": "writing …",
    "checking": "asking again without the ECG and with another one …",
    "stopped": "stopped: the answer is not whole",
}


def banner(about: About) -> str:
    """What stays at the top of the page."""
    caution = f" <strong>{escape(about.caution)}</strong>" if about.caution else ""
    return (
        f'<div class="ecg-banner" role="note">{escape(BANNER)}{caution} Files stay on this machine. '
        f"Model: {escape(about.name)} ({about.id})</div>"
    )


def ecg_html(
    number: int,
    shown: Shown,
    view: View,
    spec: InputSpec,
    reading: Reading,
    *,
    spans: Sequence[tuple[float, float]] = (),
    lit: Sequence[str] = (),
) -> str:
    """An ECG of a conversation: what it is, what is wrong with it, its trace, what was measured. number: from 0."""
    layout = shown.layout(view)
    head = [f"ECG {number + 1}", *([shown.date] if shown.date else [])]
    facts = [
        f"{shown.seconds:.1f} s at {shown.fs:g} Hz",
        f"{len(shown.leads)} lead{'s' * (len(shown.leads) != 1)}",
        f"{view.speed:g} mm/s, {view.gain:g} mm/mV",
    ]
    if layout.start > 0 or layout.end < shown.seconds - 1e-6:
        facts.append(f"shown: {layout.start:g} to {layout.end:g} s")
    issues = "".join(
        f'<li class="{escape(issue.kind.replace(" ", "-"))}">{escape(issue.text)}</li>' for issue in shown.issues
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in shown.record.notes)
    svg = sheet_svg(shown.signal, shown.fs, layout, spans=spans, lit=lit, name=f"ecg{number}")
    svg = svg.replace(
        'class="ecg-sheet"', f'class="ecg-sheet" style="width:calc({layout.width:.1f}mm*var(--ecg-zoom,1))"', 1
    )
    return (
        f'<section class="ecg-block" data-ecg="{number}"><h3>{escape(" · ".join(head))}'
        f"<small>{escape(', '.join(facts))}</small>{_TOOLS}</h3>"
        + (f'<ul class="ecg-issues" aria-label="quality">{issues}</ul>' if issues else "")
        + f'<div class="ecg-scroll" tabindex="0">{svg}</div>'
        + '<p class="ecg-caliper" aria-live="polite">Click two places on the trace to measure between them.</p>'
        + f'<div class="ecg-measured">{measured_html(shown.measured)}</div>'
        + f'<p class="ecg-given">{escape(given(shown, spec, reading))}</p>'
        + (
            f'<details class="ecg-notes"><summary>How the file was read</summary><ul>{notes}</ul></details>'
            if notes
            else ""
        )
        + "</section>"
    )


_TOOLS = (
    '<span class="ecg-tools"><button type="button" data-zoom="0.8" title="smaller">−</button>'
    '<button type="button" data-zoom="1.25" title="larger">+</button>'
    '<button type="button" data-zoom="1" title="true size: a millimetre is a millimetre">1:1</button>'
    '<button type="button" data-zoom="fit" title="as wide as the page">fit</button></span>'
)


def measured_html(measured: Mapping[str, float | None]) -> str:
    """The measured numbers; what is not measurable is said to be."""
    cells = []
    for name, value in measured.items():
        words = (
            "not measurable"
            if value is None
            else quantity(name).write(value)
            if name != "rr_interval"
            else f"{value:.0f} ms"
        )
        kind = ' class="none"' if value is None else ""
        cells.append(f"<span{kind}><b>{escape(TITLES[name])}</b> {escape(words)}</span>")
    return "".join(cells)


def conversation_html(exchanges: Sequence[Exchange], about: About) -> str:
    """All exchanges, the last one at the end."""
    if not exchanges:
        return '<div class="ecg-empty">Drop an ECG, then ask about it.</div>'
    return "".join(exchange_html(exchange, about) for exchange in exchanges)


def exchange_html(exchange: Exchange, about: About) -> str:
    """A question, its answer, and what is to be said of it."""
    flags = []
    if exchange.anew:
        flags.append("new dialogue: the model does not know what was said before")
    if exchange.hidden:
        flags.append(f"asked without {', '.join(exchange.hidden)}")
    parts = [
        f'<article class="ecg-exchange {exchange.state}"><div class="ecg-question">{escape(exchange.question)}</div>',
        f'<div class="ecg-flags">{escape("; ".join(flags))}</div>' if flags else "",
    ]
    if exchange.answer:
        parts.append(f'<div class="ecg-answer">{answer_html(exchange)}</div>')
    if exchange.error:
        parts.append(f'<div class="ecg-error" role="alert">{escape(exchange.error)}</div>')
    if exchange.state in STATES:
        parts.append(f'<div class="ecg-state">{STATES[exchange.state]}</div>')
    if exchange.badge:
        parts.append(badge_html(exchange.badge))
    parts += [f'<div class="ecg-disagrees">{escape(text)}</div>' for text in exchange.disagreements]
    if exchange.ended and exchange.answer and about.caution:
        parts.append(f'<div class="ecg-caution">{escape(about.caution)}</div>')
    return "".join([*parts, "</article>"])


def answer_html(exchange: Exchange) -> str:
    """The answer with its spans as buttons that lead to their place on the trace."""
    parts, at = [], 0
    for span in exchange.spans:
        start, end = span.at
        if start < at:
            continue
        parts.append(escape(exchange.answer[at:start]))
        parts.append(
            f'<button type="button" class="ecg-goto" data-ecg="{span.ecg}" data-from="{span.start:g}" '
            f'data-to="{span.end:g}" title="show on ECG {span.ecg + 1}">{escape(exchange.answer[start:end])}</button>'
        )
        at = end
    return "".join([*parts, escape(exchange.answer[at:])])


def badge_html(badge: Badge) -> str:
    """The badge, with the two other answers behind it."""
    kind = "red" if badge.warns else "amber" if badge.kind == "other" else "grey"
    return (
        f'<details class="ecg-badge {kind}"><summary>{escape(badge.text)}</summary>'
        f"<dl><dt>without the ECG</dt><dd>{escape(badge.blind) or '(nothing)'}</dd>"
        f"<dt>with another ECG ({escape(OTHER_WORDS)})</dt><dd>{escape(badge.other) or '(nothing)'}</dd></dl></details>"
    )
