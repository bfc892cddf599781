"""What `anyecg chat` does: serve the chat page of a model on this machine."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from anyecg.cli.terminal import guarded, place, quieten, whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="anyecg chat",
        description="A page to ask a model about your own ECGs, beside their trace. It is served to this machine only, "
        "unless --host says otherwise; nothing is sent elsewhere. For research only.",
    )
    parser.add_argument("model", type=place, metavar="MODEL", help="the folder of an exported model")
    parser.add_argument("--host", default="127.0.0.1", help="the address to serve at (default: %(default)s)")
    parser.add_argument("--port", type=whole(1), default=7860, help="the port to serve at (default: %(default)s)")
    parser.add_argument("--max-new-tokens", type=whole(1), default=256, metavar="N", help="of an answer")
    parser.add_argument("--seconds", type=float, default=300.0, help="that an answer may take (default: %(default)g)")
    parser.add_argument("--max-mb", type=whole(1), default=64, metavar="MB", help="of a file (default: %(default)s)")
    parser.add_argument(
        "--no-check", action="store_true", help="do not ask again without the ECG, unless it is switched on"
    )
    parser.add_argument("--llm", metavar="FOLDER", help="where the model's LLM lies, if it is not in MODEL")
    options = parser.parse_args(arguments)
    return guarded(lambda: chat(options))


def chat(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C; returns the exit status."""
    from anyecg.checkpoints.load import open_model  # torch and all that needs it: not for --help
    from anyecg.types import AnyECGError
    from anyecg.web.about import about
    from anyecg.web.conversation import Bounds, Desk
    from anyecg.web.uploads import Limits

    try:
        from anyecg.web.page import serve
    except ImportError as error:
        raise AnyECGError(f"the page needs gradio: pip install 'anyecg[web]' ({error})") from error

    quieten()
    model, reading = open_model(options.model, {"path": options.llm} if options.llm else None)
    desk = Desk(model, reading, about(options.model), Bounds(options.max_new_tokens, options.seconds))
    serve(desk, Limits(megabytes=options.max_mb), host=options.host, port=options.port, check=not options.no_check)
    return 0
