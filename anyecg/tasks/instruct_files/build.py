"""Released conversations as questions, each with the form of its answer: letter, set of options, verdict, free text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from anyecg.config.checks import Checks
from anyecg.data.store.store import Stores
from anyecg.findings import find
from anyecg.tasks.choice.build import shown_options
from anyecg.tasks.ecg_qa.parser import read_verdict
from anyecg.tasks.multiple_choice import read_choice, read_choices
from anyecg.tasks.release.conversations import present, questions_in
from anyecg.tasks.release.filed import FiledConfig
from anyecg.types import ECGSample

FORMS = ("choice", "options", "verdict", "free")
_OPTIONS = re.compile(r"\boptions?\s*:\s*(.+)", re.IGNORECASE | re.DOTALL)
_ORDER = re.compile(r"(?:^|(?<=[.\n]))\s*(?:only|please|use|answer|choose|separate)\b.*", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class InstructFilesConfig(FiledConfig):
    """corpora: what the path of a row's page, or its id, begins with ("ptb-xl", "mimic_v4", "code15") -> the corpus
    (its key) of its recording, "" for all that begin otherwise; pool: what stages call its questions, so that two
    tasks can ask of two releases.
    """

    corpora: dict[str, str] = field(default_factory=dict)
    pool: str = "instruct_files"

    def checks(self, check: Checks) -> None:
        super().checks(check)
        if self.files and not self.corpora:
            check.wrong("corpora", "say whose recordings the files are about, such as {ptb-xl: ptbxl}")


def file_questions(
    stores: Stores, cfg: InstructFilesConfig, task: str, dropped: Counter
) -> Iterator[tuple[str, ECGSample]]:
    """(split, question) for each row of the files whose recording is in the stores; subset: the file's name."""
    known = {root: stores[corpus] for root, corpus in cfg.corpora.items()}
    for name, path in present(cfg.files, cfg.absent).items():
        for split, sample in questions_in(path, known, task, cfg.split, dropped, cfg.pool):
            id = sample.id.replace(f"{cfg.pool}/", f"{cfg.pool}/{name}/", 1)
            yield split, replace(sample, id=id, subset=name, meta=form_of(sample))


def form_of(sample: ECGSample) -> dict[str, Any]:
    """How the last question of a conversation is answered: `form` (one of `FORMS`), `options` and what is right.

    A form is taken where the reference itself can be read in it, so that no reference is scored as unread.
    """
    question = [turn.text for turn in sample.conversation if turn.role == "user"][-1]
    answer = sample.answer
    lettered = shown_options(question)
    if lettered and (right := read_choice(answer, lettered)) is not None:
        return {"form": "choice", "options": lettered, "right": [right]}
    listed = listed_options(question)
    if listed and (several := read_choices(answer, listed)):
        return {"form": "options", "options": listed, "right": sorted(several)}
    if len(answer.split()) < 8 and (verdict := read_verdict(answer, ("yes", "no"))):
        return {"form": "verdict", "options": ["yes", "no"], "right": [("yes", "no").index(next(iter(verdict)))]}
    return {"form": "free", "options": [], "right": sorted(find(answer))}


def listed_options(question: str) -> list[str]:
    """The options that follow "Options:" in a question, between commas or semicolons, up to its next order."""
    found = _OPTIONS.search(question)
    if not found:
        return []
    text = _ORDER.sub("", found[1]).strip().rstrip(".")
    options = [part.strip(" '\"[]") for part in re.split(r";|,(?![^()]*\))|\n", text)]
    return list(dict.fromkeys(option for option in options if option))
