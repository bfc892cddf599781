"""What `anyecg ask` does: put a question about one's own ECGs to a model, and draw what the answer points at."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from anyecg.cli.terminal import guarded, place, quieten, whole

PICTURE = Path("answer.png")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="anyecg ask",
        description="Ask a model about your own ECGs. The answer is written to the terminal, and the trace with the "
        "seconds and leads that it names to a PNG. For research only.",
        epilog='anyecg ask models/anyecg_chat ecg.dcm "Where is the premature ventricular contraction?"',
    )
    parser.add_argument("model", type=place, metavar="MODEL", help="the folder of an exported model")
    parser.add_argument("files", nargs="+", type=place, metavar="FILE", help="an ECG in any format that is read")
    parser.add_argument("question", metavar="QUESTION", help="in quotes")
    parser.add_argument(
        "--to", type=place, default=PICTURE, metavar="PNG", help="the picture to write (default: %(default)s)"
    )
    parser.add_argument("--no-picture", action="store_true", help="write no picture")
    parser.add_argument(
        "--check", action="store_true", help="ask again without the ECG and with another one, and say what changes"
    )
    parser.add_argument("--fs", type=float, metavar="HZ", help="the sampling rate, where a file does not say it")
    parser.add_argument("--units", metavar="UNIT", help="mV, uV, nV or V, where a file does not say it")
    parser.add_argument(
        "--leads",
        metavar="NAMES",
        help="names of its channels with commas between them, where a file does not say them",
    )
    parser.add_argument("--layout", default="3x4", choices=("3x4", "6x2", "12x1"), help="of the picture")
    parser.add_argument("--speed", type=float, default=25.0, help="mm a second (default: %(default)g)")
    parser.add_argument("--gain", type=float, default=10.0, help="mm a mV (default: %(default)g)")
    parser.add_argument("--max-new-tokens", type=whole(1), default=256, metavar="N", help="of an answer")
    parser.add_argument("--llm", metavar="FOLDER", help="where the model's LLM lies, if it is not in MODEL")
    options = parser.parse_args(arguments)
    return guarded(lambda: ask(options))


def ask(options: argparse.Namespace) -> int:
    """Ask, print and draw; returns the exit status."""
    from anyecg.checkpoints.load import open_model  # torch and all that needs it: not for --help
    from anyecg.data.own.picture import is_picture
    from anyecg.data.own.read import read_record
    from anyecg.types import DataError
    from anyecg.web.about import BANNER, about
    from anyecg.web.conversation import Bounds, Conversation, Desk
    from anyecg.web.ecgs import Shown, View

    quieten()
    view = View(options.layout, options.speed, options.gain)
    shown = []
    for path in options.files:
        if is_picture(path):
            raise DataError(f"{path}: is a picture; give the recording itself (load_session(...).ask takes pictures)")
        names = [name.strip() for name in options.leads.split(",")] if options.leads else None
        shown.append(Shown(read_record(path, fs=options.fs, units=options.units, leads=names)))
    model, reading = open_model(options.model, {"path": options.llm} if options.llm else None)
    told = about(options.model)
    conversation = Conversation(Desk(model, reading, told, Bounds(options.max_new_tokens, float("inf"))))
    for number, one in enumerate(shown):
        conversation.add(one)
        for text in [*one.record.notes, *(issue.text for issue in one.issues)]:
            print(f"ECG {number + 1}: {text}", file=sys.stderr)
    written = ""
    for exchange in conversation.ask(options.question, check=options.check):
        if exchange.answer.startswith(written) and exchange.answer != written:
            print(exchange.answer[len(written) :], end="", flush=True)
            written = exchange.answer
    print()
    if exchange.error:
        raise DataError(exchange.error)
    for span in exchange.spans:
        where = f"{span.start:g} s" if span.start == span.end else f"{span.start:g} to {span.end:g} s"
        print(f"ECG {span.ecg + 1}: {where}", file=sys.stderr)
    for text in exchange.disagreements:
        print(text, file=sys.stderr)
    if exchange.badge:
        print(f"{exchange.badge.text}.", file=sys.stderr)
    if not options.no_picture:
        from anyecg.web.document import to_png

        to_png(options.to, exchange, conversation.ecgs, told, view)
        print(f"{options.to}: the trace", file=sys.stderr)
    print(" ".join(filter(None, (BANNER, told.caution))), file=sys.stderr)
    return 0
