"""What a prompt must not hold: its own answer, and what is known of the patient and the recording beside the ECG."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from anyecg.tasks.base import Task
from anyecg.types import MARKER, ECGSample

SHORTEST = 4  # characters of an answer that are looked for: "no", "yes" and "II" stand in many a question
CHANCE = 1e-6  # a wording that goes with one kind of answer is reported where luck does so less often

# kind -> what gives it away. Keys are those of PTB-XL's and MIMIC-IV's tables and of clinical contexts made of them.
METADATA: Mapping[str, re.Pattern[str]] = {
    "age": re.compile(
        r"\b\d{1,3}\s*-?\s*years?\s*-?\s*old\b|\b(?:aged?|age)\s*(?:[:=]|is|of)?\s*\d{1,3}\b", re.IGNORECASE
    ),
    "sex": re.compile(
        r"\b(?:sex|gender)\s*(?:[:=]|is)\s*\w+|\b(?:fe)?male\b|\b(?:a|this|the|old)\s+(?:man|woman)\b(?!-)",
        re.IGNORECASE,
    ),
    "date": re.compile(r"\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b"),
    "device": re.compile(
        r"\b(?:device|recorded with|cart|site|nurse|machine)\s*(?:[:=]|(?:id|name|model)\b)|\b(?:CS-?12|AT-?60?)\b",
        re.IGNORECASE,
    ),
    "body": re.compile(r"\b(?:height|weight|bmi)\s*(?:[:=]|is)\s*\d|\b\d{2,3}\s*(?:kg|cm)\b", re.IGNORECASE),
    "column of a table": re.compile(
        r"\b(?:scp_codes|heart_axis|infarction_stadium\d?|baseline_drift|static_noise|burst_noise|electrodes_problems"
        r"|extra_beats|pacemaker)\s*[:=]|\b(?:report|diagnosis)\s*[:=]\s*\w",
        re.IGNORECASE,
    ),
}


def leaks(task: Task, sample: ECGSample) -> Iterator[str]:
    """What the user's words of a question give away, a phrase each: nothing where all is well.

    A kind of metadata that the task's rule puts into prompts (`Task.stated`) is none.
    """
    prompt = " ".join(turn.text.replace(MARKER, " ") for turn in sample.conversation if turn.role == "user")
    plain = _plain(prompt)
    for secret in task.secrets(sample):
        if len(_plain(secret)) >= SHORTEST and re.search(rf"(?<!\w){re.escape(_plain(secret))}(?!\w)", plain):
            yield "prompt that names its answer"
            break
    for kind, pattern in METADATA.items():
        if kind not in task.stated and pattern.search(prompt):
            yield f"prompt with the {kind} of the patient or the recording"
    if _names(prompt, sample):
        yield "prompt with the id of the patient or the recording"


def _names(prompt: str, sample: ECGSample) -> bool:
    """Whether a prompt has the last part of the patient's or a record's id, where it has digits enough."""
    ids = {sample.patient, *(window.record for window in sample.records)}
    last = {id.rpartition("/")[2] for id in ids if id}
    return any(
        len(id) >= SHORTEST
        and any(letter.isdigit() for letter in id)
        and re.search(rf"(?<!\w){re.escape(id)}(?!\w)", prompt)
        for id in last
    )


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).strip(" .,;:!?")


class Wordings:
    """Whether some wording of a pool goes with one kind of answer only (`Task.answer_kind`), so that the words tell the
    answer without the ECG.
    """

    def __init__(self) -> None:
        self._kinds: dict[str, Counter[str]] = defaultdict(Counter)
        self._seen: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._first: dict[tuple[str, str], str] = {}

    def add(self, task: Task, sample: ECGSample) -> None:
        """Count a question."""
        kind = task.answer_kind(sample)
        if not kind:
            return
        words = " ".join(turn.text for turn in sample.conversation if turn.role == "user")
        self._kinds[sample.pool][kind] += 1
        self._seen[sample.pool, words][kind] += 1
        self._first.setdefault((sample.pool, words), sample.id)

    def found(self) -> Iterator[tuple[str, str, int, str]]:
        """(pool, kind of answer, questions, the first one's id) of each such wording."""
        for (pool, words), kinds in self._seen.items():
            total, count = self._kinds[pool].total(), kinds.total()
            ((kind, held),) = kinds.most_common(1)
            share = self._kinds[pool][kind] / total
            if held == count and share < 1 and count * math.log(share) < math.log(CHANCE / len(self._seen)):
                yield pool, kind, count, self._first[pool, words]
