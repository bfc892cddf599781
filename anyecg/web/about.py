"""What a page says of its model: its name, an id, and on what it was trained."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from anyecg.checkpoints.load import CONFIG

BANNER = "For research only. Not a medical device: do not use what it says for the care of anybody."
TRAINED_ON_SIMULATED = "Trained on simulated ECGs: what it says of a real one means nothing."


@dataclass(frozen=True)
class About:
    """name: of the model's folder; id: twelve letters that change with its configuration or its weights' sizes;
    simulated: whether it is known to be trained on simulated ECGs.
    """

    name: str
    id: str
    simulated: bool

    @property
    def caution(self) -> str:
        """What stands beside each answer, "" where nothing is known."""
        return TRAINED_ON_SIMULATED if self.simulated else ""


def about(folder: Path | str) -> About:
    """About the model of a folder that `load_session` reads."""
    folder = Path(folder).resolve()
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder)} {path.stat().st_size}".encode())
        if path.suffix == ".json":
            digest.update(path.read_bytes())
    return About(folder.name, digest.hexdigest()[:12], _simulated(folder / CONFIG))


def _simulated(path: Path) -> bool:
    """Whether an exported model's experiment had a corpus without a root, which is a simulated one."""
    try:
        experiment = json.loads(path.read_text(encoding="utf-8")).get("experiment", {})
    except (OSError, ValueError, AttributeError):
        return False
    corpora = experiment.get("corpora") or {}
    return not experiment.get("dataset") and any(
        isinstance(corpus, dict) and not corpus.get("root") for corpus in corpora.values()
    )
