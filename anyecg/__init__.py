"""anyecg: a research codebase for ECG language models (anyECG-chat, arXiv 2506.00942).

`anyecg.load("models/anyecg_chat")` gives a trained model that embeds ECGs, ranks labels and answers questions, an
`ECGModel`; `anyecg.read_ecg("ecg.xml")` reads a recording of one's own. Nothing else is imported until it is named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anyecg.checkpoints.pretrained import ECGModel, load
    from anyecg.data.own import read_ecg

__version__ = "0.1.0"
__all__ = ["ECGModel", "load", "read_ecg"]


def __getattr__(name: str) -> Any:
    if name in ("ECGModel", "load"):
        from anyecg.checkpoints import pretrained

        return getattr(pretrained, name)
    if name == "read_ecg":
        from anyecg.data.own import read_ecg

        return read_ecg
    raise AttributeError(f"module 'anyecg' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
