"""The wiring of the chat page: Gradio's components around a `Conversation`. All logic lies in the modules beside it."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any, cast

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # nothing is sent anywhere

import gradio as gr

from anyecg.encoders.base import Encoder
from anyecg.findings import FINDINGS
from anyecg.plots.layout import COLUMNS, GAINS, LONGEST, PAGE, SPEEDS
from anyecg.tasks.phrasings import CLASSIFICATION
from anyecg.types import CANONICAL_LEADS, AnyECGError, DataError
from anyecg.web.conversation import Conversation, Desk
from anyecg.web.document import to_json, to_pdf
from anyecg.web.ecgs import Shown, View
from anyecg.web.measure import delineates
from anyecg.web.render import banner, conversation_html, ecg_html
from anyecg.web.uploads import Inbox, Limits, Reader, Words

HERE = Path(__file__).parent
IDLE = 6 * 3600.0  # s after which a conversation that nobody came back to is forgotten
USERS = 50  # conversations at once
REPORT = CLASSIFICATION
FIND, IS_THERE = "Where is the {} located in this ECG?", "Does this ECG show {}?"
KEPT = ("json", "pdf")
DOWNLOAD = "() => setTimeout(() => document.querySelector('#ecg-{0}-file').click(), 300)"
COMPARE = "What changes between the first ECG and the last ECG?"


@dataclass
class Seat:
    """What belongs to one open page."""

    conversation: Conversation
    inbox: Inbox
    view: View = field(default_factory=View)
    exports: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="anyecg-kept-")))
    seen: float = field(default_factory=time.monotonic)


class Seats:
    """The open pages, by Gradio's hash of the session."""

    def __init__(self, desk: Desk, limits: Limits) -> None:
        self.desk, self.limits, self.reader = desk, limits, Reader(limits)
        self._seats: dict[str, Seat] = {}
        self._lock = threading.Lock()

    def of(self, request: gr.Request) -> Seat:
        """The seat of a page, a new one for a new page."""
        key = str(request.session_hash)
        with self._lock:
            now = time.monotonic()
            idle = [other for other, seat in self._seats.items() if now - seat.seen > IDLE]
            if key not in self._seats and len(self._seats) - len(idle) >= USERS:
                idle.append(min(self._seats, key=lambda other: self._seats[other].seen))
            for other in idle:
                self._close(self._seats.pop(other))
            if key not in self._seats:
                self._seats[key] = Seat(Conversation(self.desk), Inbox(self.limits, self.reader))
            self._seats[key].seen = now
            return self._seats[key]

    def leave(self, request: gr.Request) -> None:
        """The page was closed: its files and its conversation go."""
        with self._lock:
            seat = self._seats.pop(str(request.session_hash), None)
        if seat:
            self._close(seat)

    def close(self) -> None:
        """All pages are closed."""
        for seat in self._seats.values():
            self._close(seat)
        self._seats = {}
        self.reader.close()

    def _close(self, seat: Seat) -> None:
        seat.conversation.stop()
        seat.inbox.close()
        shutil.rmtree(seat.exports, ignore_errors=True)


def serve(
    desk: Desk, limits: Limits, *, host: str = "127.0.0.1", port: int = 7860, check: bool = True, wait: bool = True
):
    """Serve the page; returns Gradio's application, after Ctrl-C where `wait`. AnyECGError where the port is taken."""
    page, seats = build(desk, limits, check)
    atexit.register(seats.close)
    threading.Thread(target=seats.reader.warm, daemon=True).start()
    page.queue(max_size=USERS, default_concurrency_limit=8)
    launched: dict[str, Any] = dict(
        server_name=host,
        server_port=port,
        share=False,
        inbrowser=False,
        quiet=True,  # what it says invites to a public link
        prevent_thread_lock=True,
        max_file_size=limits.megabytes * (1 << 20),
        allowed_paths=[],
        theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        css=(HERE / "page.css").read_text(encoding="utf-8"),
        head=f"<script>{(HERE / 'page.js').read_text(encoding='utf-8')}</script>",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
    )
    try:
        page.launch(**launched)
    except OSError as error:
        raise AnyECGError(f"--port {port}: cannot be served at {host} ({error}); choose another port") from error
    print(f"The page: http://{host}:{port} (Ctrl-C ends it)", flush=True)
    if wait:
        page.block_thread()
    return page


def build(desk: Desk, limits: Limits, check: bool = True) -> tuple[gr.Blocks, Seats]:
    """The page, and what is open of it."""
    seats = Seats(desk, limits)
    spec, reading, about = cast(Encoder, desk.model.encoder).input, desk.reading, desk.about
    names = [finding.name for finding in FINDINGS if finding.kind != "summary"]

    def traces(seat: Seat) -> str:
        """All ECGs, with the spans and leads of the last answer that has any."""
        ended = [exchange for exchange in seat.conversation.exchanges if exchange.answer]
        last = ended[-1] if ended else None
        return "".join(
            ecg_html(
                number,
                shown,
                seat.view,
                spec,
                reading,
                spans=[(span.start, span.end) for span in (last.spans if last else ()) if span.ecg == number],
                lit=last.leads if last else (),
            )
            for number, shown in enumerate(seat.conversation.ecgs)
        )

    def talk(seat: Seat) -> str:
        return conversation_html(seat.conversation.exchanges, about)

    def told(messages: list[str]) -> str:
        return "".join(f'<div class="ecg-error" role="alert">{escape(text)}</div>' for text in messages)

    def longest(seat: Seat) -> Any:
        """The slider of the first second shown, where an ECG is longer than a sheet."""
        ecgs = seat.conversation.ecgs
        most = max((shown.seconds for shown in ecgs), default=0.0)
        sheet = (
            PAGE
            if any(shown.layout(seat.view).end - shown.layout(seat.view).start <= PAGE for shown in ecgs)
            else LONGEST
        )
        return gr.Slider(visible=most > sheet + 0.5, maximum=max(1.0, most - sheet), value=min(seat.view.start, most))

    def dropped(paths: list[str] | None, fs: float | None, unit: str, leads: str, when: str, request: gr.Request):
        """Files were dropped: read them with what the form says."""
        seat = seats.of(request)
        try:
            if paths:
                seat.inbox.take(paths)
        except AnyECGError as error:
            return traces(seat), told([str(error)]), gr.File(value=None), gr.skip(), longest(seat)
        finally:
            for path in paths or ():  # Gradio's own copies
                Path(path).unlink(missing_ok=True)
        return read(fs, unit, leads, when, request)

    def read(fs: float | None, unit: str, leads: str, when: str, request: gr.Request):
        """Read what waits."""
        seat = seats.of(request)
        named = tuple(name.strip() for name in (leads or "").split(",") if name.strip())
        words = Words(fs=fs or None, units="" if unit == "as the file says" else unit, leads=named)
        messages: list[str] = []
        if not seat.inbox.waiting:
            messages.append("drop a file first")
        for outcome in seat.inbox.read(words):
            try:
                if outcome.record is None:
                    raise DataError(f"a {outcome.kind or 'nameless'} file: {outcome.error}")
                seat.conversation.add(Shown(outcome.record, (when or "").strip()))
            except AnyECGError as error:
                messages.append(str(error))
        waits = bool(messages and seat.inbox.waiting)
        if waits:
            messages.append(
                "If it lacks its rate, its unit or the names of its leads, say them below and read it again."
            )
        return traces(seat), told(messages), gr.File(value=None), gr.Accordion(open=waits), longest(seat)

    def asked(question: str, hidden: list[str], checked: bool, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """Ask, and show the answer as it is written."""
        seat = seats.of(request)
        yield talk(seat), gr.skip(), "", gr.Button(interactive=True)
        shown = None
        for exchange in seat.conversation.ask(question or "", hidden or (), checked):
            html = talk(seat) if exchange in seat.conversation.exchanges else talk(seat) + told([exchange.error])
            if html != shown:
                shown = html
                yield html, gr.skip(), gr.skip(), gr.skip()
        yield shown, traces(seat), gr.skip(), gr.Button(interactive=False)

    def ready(text: str) -> Callable[..., Iterator[tuple[Any, ...]]]:
        def ask(finding: str, hidden: list[str], checked: bool, request: gr.Request) -> Iterator[tuple[Any, ...]]:
            yield from asked(text.format(finding), hidden, checked, request)

        return ask

    def stopped(request: gr.Request) -> None:
        seats.of(request).conversation.stop()

    def viewed(layout: str, speed: float, gain: float, hidden: list[str], start: float, request: gr.Request):
        seat = seats.of(request)
        seat.view = View(layout, float(speed), float(gain), float(start or 0.0), frozenset(hidden or ()))
        return traces(seat)

    def cleared(request: gr.Request):
        seat = seats.of(request)
        seat.conversation.clear()
        seat.inbox.drop()
        seat.view = replace(seat.view, start=0.0)
        return traces(seat), talk(seat), "", longest(seat)

    def kept(kind: str) -> Callable[[gr.Request], str]:
        def write(request: gr.Request) -> str:
            seat = seats.of(request)
            talked = seat.conversation
            path = seat.exports / f"ecg-conversation.{kind}"
            if kind == "json":
                text = json.dumps(to_json(talked.exchanges, talked.ecgs, about), indent=2, ensure_ascii=False)
                path.write_text(text + "\n", encoding="utf-8")
            else:
                path.write_bytes(to_pdf(talked.exchanges, talked.ecgs, about, seat.view))
            return str(path)

        return write

    with gr.Blocks(title="anyecg: ask about an ECG", analytics_enabled=False, delete_cache=(3600, 3600)) as page:
        gr.HTML(banner(about), elem_id="ecg-banner")
        with gr.Row():
            with gr.Column(scale=5, min_width=560):
                files = gr.File(
                    label=f"Drop ECGs here (at most {limits.files} files of {limits.megabytes} MB; .hea with its .dat)",
                    file_count="multiple",
                    type="filepath",
                    height=120,
                    elem_id="ecg-files",
                )
                messages = gr.HTML("", elem_id="ecg-messages")
                with gr.Accordion("What the file does not say", open=False, elem_id="ecg-form") as form:
                    with gr.Row():
                        rate = gr.Number(  # an empty box comes back as 0 once the page has redrawn it: not said
                            label="Sampling rate, Hz", value=None, minimum=0, maximum=100_000, elem_id="ecg-rate"
                        )
                        unit = gr.Dropdown(
                            ["as the file says", "mV", "uV", "nV", "V"], value="as the file says", label="Unit"
                        )
                        when = gr.Textbox(label="Date, such as 2026-05-31", max_length=10)
                    leads = gr.Textbox(
                        label="Leads, in the file's order, with commas",
                        placeholder=", ".join(CANONICAL_LEADS),
                        max_length=400,
                        elem_id="ecg-leads",
                    )
                    again = gr.Button("Read it again", elem_id="ecg-again")
                with gr.Row():
                    layout = gr.Radio(list(COLUMNS), value="3x4", label="Layout", scale=6, elem_id="ecg-layout")
                    speed = gr.Radio([int(one) for one in SPEEDS], value=25, label="mm/s", scale=4, elem_id="ecg-speed")
                    gain = gr.Radio([int(one) for one in GAINS], value=10, label="mm/mV", scale=5, elem_id="ecg-gain")
                start = gr.Slider(0, 1, value=0, step=1, label="First second shown", visible=False, elem_id="ecg-start")
                sheets = gr.HTML("", elem_id="ecg-sheets")
                with gr.Accordion("Hide leads, from the page and from the model", open=False, elem_id="ecg-hide"):
                    hidden = gr.CheckboxGroup(list(CANONICAL_LEADS), show_label=False, elem_id="ecg-hidden")
            with gr.Column(scale=3, min_width=360):
                conversation = gr.HTML(conversation_html([], about), elem_id="ecg-conversation")
                question = gr.Textbox(
                    label="Question", lines=2, max_length=2000, placeholder="Ask about the ECG", elem_id="ecg-question"
                )
                with gr.Row():
                    ask = gr.Button("Ask", variant="primary", elem_id="ecg-ask")
                    stop = gr.Button("Stop", variant="stop", interactive=False, elem_id="ecg-stop")
                with gr.Row():
                    report = gr.Button("Report", size="sm", elem_id="ecg-report")
                    compare = gr.Button("Compare", size="sm", elem_id="ecg-compare")
                finding = gr.Dropdown(
                    names, value="premature ventricular contraction", label="Finding", elem_id="ecg-finding"
                )
                with gr.Row():
                    find = gr.Button("Find it", size="sm", elem_id="ecg-find")
                    is_there = gr.Button("Is it there?", size="sm", elem_id="ecg-is-there")
                checked = gr.Checkbox(
                    value=check,
                    label="Check each answer: ask again without the ECG and with another one (three times as long)",
                    elem_id="ecg-check",
                )
                with gr.Row():
                    clear = gr.Button("Clear", size="sm", elem_id="ecg-clear")
                    saves = [gr.Button(f"Save as {kind.upper()}", size="sm", elem_id=f"ecg-{kind}") for kind in KEPT]
                    ready_files = [gr.DownloadButton(visible="hidden", elem_id=f"ecg-{kind}-file") for kind in KEPT]
                if not delineates():
                    gr.Markdown("PR, QRS and QT are not measured: `pip install neurokit2`.")
        private: dict[str, Any] = {"api_visibility": "private"}
        reading_outputs = [sheets, messages, files, form, start]
        files.upload(dropped, [files, rate, unit, leads, when], reading_outputs, **private)
        again.click(read, [rate, unit, leads, when], reading_outputs, **private)
        talking: dict[str, Any] = {"concurrency_limit": None, "show_progress": "hidden", **private}
        outputs = [conversation, sheets, question, stop]
        for event in (ask.click, question.submit):
            event(asked, [question, hidden, checked], outputs, **talking)
        for button, text in ((report, REPORT), (compare, COMPARE), (find, FIND), (is_there, IS_THERE)):
            button.click(ready(text), [finding, hidden, checked], outputs, **talking)
        stop.click(stopped, None, None, queue=False, **private)
        for switch in (layout, speed, gain, hidden, start):
            switch.change(viewed, [layout, speed, gain, hidden, start], sheets, show_progress="hidden", **private)
        clear.click(cleared, None, [sheets, conversation, messages, start], **private)
        for kind, save, ready_file in zip(KEPT, saves, ready_files):
            written = save.click(kept(kind), None, ready_file, **private)
            written.then(None, None, None, js=DOWNLOAD.format(kind), **private)
        page.unload(seats.leave)
    return page, seats
