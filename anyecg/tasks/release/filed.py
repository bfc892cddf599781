"""What tasks over released conversations share: whose files they read, and that the files' content decides a build."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from anyecg.config.checks import Checks
from anyecg.config.schema import to_dict
from anyecg.tasks.base import Sources, Task
from anyecg.tasks.release.conversations import ABSENT, SPLITS_OF, content, present
from anyecg.types import ECGSample


@dataclass(frozen=True)
class FiledConfig(Task.Config):
    """files: name -> a file of conversations, or a folder of them (JSON, JSON lines, parquet); split: of a file's
    questions, that of their recordings in the "store", or "test" for all of them; absent: a file that is not there is
    an error ("stop"), or left out ("leave_out").
    """

    files: dict[str, str] = field(default_factory=dict)
    split: str = "store"
    absent: str = "stop"

    def __post_init__(self) -> None:
        with Checks(self) as check:
            self.checks(check)

    def checks(self, check: Checks) -> None:
        check.among("split", SPLITS_OF)
        check.among("absent", ABSENT)


class FiledTask(Task):
    """A task whose settings name files; its questions show all that an answer can be, or are asked as released."""

    cfg: FiledConfig
    by_content = ("files",)

    def settings(self, sources: Sources) -> dict[str, Any]:
        there = present(self.cfg.files, self.cfg.absent)
        return to_dict(self.cfg) | {"files": {name: content(path) for name, path in there.items()}}

    def secrets(self, sample: ECGSample) -> Sequence[str]:
        return ()
