"""Conversations: scripted follow-up questions about a test question's ECGs, each asked with the model's own answers
before it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from anyecg.answerers.base import Answerer
from anyecg.config import shipped
from anyecg.data.chance import chance
from anyecg.evaluation.controls import BLIND, SIGNAL
from anyecg.evaluation.conversation_metrics import summary
from anyecg.evaluation.evaluate import write_json
from anyecg.evaluation.predictions import PredictionStore
from anyecg.findings import BY_KEY, find
from anyecg.types import MARKER, ConfigError, DataError, ECGSample, Prediction, Turn

log = logging.getLogger(__name__)

FINDING = (
    "{finding}"  # stands in a follow-up for the name of a finding, which makes it a yes/no question with a known answer
)
FILE = "conversations.json"

Answer = Callable[[list[ECGSample], str], Iterable[Prediction]]  # (samples, view) -> a prediction for each


@dataclass(frozen=True)
class Script:
    """How conversations of one kind go: a test question of the task `opens`, over its one or several ECGs, then the
    follow-ups.
    """

    name: str
    opens: str
    follow_ups: tuple[str, ...]


def read_scripts(path: str | Path) -> list[Script]:
    """The scripts of a YAML file, `conversations: [{name, opens, follow_ups: [...]}]`; ConfigError, naming file and
    script, for any that is none.
    """
    try:
        entries = yaml.safe_load(shipped.find(path).read_text(encoding="utf-8"))["conversations"]
        scripts = [Script(str(entry["name"]), str(entry["opens"]), tuple(entry["follow_ups"])) for entry in entries]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path}: no conversations can be read ({error!r}); see experiments/conversations.yaml"
        ) from error
    for script in scripts:
        if not script.follow_ups or not all(
            isinstance(text, str) and text.strip() and MARKER not in text for text in script.follow_ups
        ):
            raise ConfigError(
                f"{path}: conversation '{script.name}': follow_ups are questions in words, without {MARKER}; one at "
                f"least"
            )
    if len({script.name for script in scripts}) < len(scripts):
        raise ConfigError(f"{path}: two conversations have one name")
    return scripts


def converse(
    answer: Answer, samples: Sequence[ECGSample], follow_ups: Mapping[str, Sequence[str]], view: str = SIGNAL
) -> list[ECGSample]:
    """The samples with the conversations that were held: the opening question, then each follow-up, every one answered
    by the model.

    samples: opening questions with their ECGs; a reference answer at their end is left out. follow_ups: id -> what is
    asked next, as many for each. All conversations go turn by turn, so that a turn is one call of `answer`. DataError
    for an answer too few.
    """
    held = [replace(one, conversation=_before_answer(one.conversation)) for one in samples]
    for turn in range(1 + max((len(texts) for texts in follow_ups.values()), default=0)):
        if turn:
            held = [
                replace(one, conversation=(*one.conversation, Turn("user", follow_ups[one.id][turn - 1])))
                for one in held
            ]
        said = {prediction.id: prediction.text for prediction in answer(held, view)}
        missing = [one.id for one in held if one.id not in said]
        if missing:
            raise DataError(
                f"conversations, turn {turn + 1}: {len(missing)} questions stayed without an answer: "
                f"{', '.join(missing[:5])}"
            )
        held = [replace(one, conversation=(*one.conversation, Turn("assistant", said[one.id]))) for one in held]
    return held


def hold(
    answerer: Answerer,
    scripts: Sequence[Script],
    samples_by_task: Mapping[str, Sequence[ECGSample]],
    folder: Path,
    seed: int = 0,
    store: PredictionStore | None = None,
    views: Sequence[str] = (SIGNAL, BLIND),
    bootstrap: int = 1000,
) -> dict[str, Any]:
    """Hold every script's conversations over the questions that open it, in each view; write `conversations.json` and
    return it.

    A follow-up with {finding} is asked of a finding that the ECGs' reports assert or, as often, of one that they do
    not, drawn by seed and id; store: of predictions, None for one in `folder/kept`. The file::

        {"scripts": {NAME: {"n", "n_patients",
            "views": {VIEW: {"turns": [{"n", "empty", "yes_no": n, "unread", "accuracy"}],
                             "conversations": [{"id", "turns": [{"question", "answer", "truth"}]}]}},
            "differences": {VIEW: {TURN: [accuracy with the ECG - accuracy in this view, low, high]}}}}}

    A turn without such a follow-up has no accuracy, and too few patients or no bootstrap no differences. Each answer is
    kept in the store as it comes. DataError for a script without questions.
    """
    store, answerer = store or PredictionStore(folder / "kept"), answerer.conversing()
    report: dict[str, Any] = {"scripts": {}}
    for script in scripts:
        samples = openings(script, samples_by_task)
        asked = {
            one.id: [_filled(text, one, number, seed) for number, text in enumerate(script.follow_ups)]
            for one in samples
        }
        follow_ups = {id: [text for text, _ in texts] for id, texts in asked.items()}
        rows = {
            view: _rows(
                converse(lambda held, shown: store.predict(answerer, held, shown).values(), samples, follow_ups, view),
                asked,
            )
            for view in views
        }
        report["scripts"][script.name] = summary(rows, bootstrap, seed)
        log.info(
            "conversation '%s': %d held over %d turns (%s)",
            script.name,
            len(samples),
            1 + len(script.follow_ups),
            ", ".join(views),
        )
    write_json(folder / FILE, report)
    return report


def openings(script: Script, samples_by_task: Mapping[str, Sequence[ECGSample]]) -> list[ECGSample]:
    """The questions that open a script's conversations; DataError if there are none."""
    samples = list(samples_by_task.get(script.opens, ()))
    if not samples:
        raise DataError(
            f"conversation '{script.name}': there are no questions of task {script.opens} to open it; add it to "
            f"evaluation.tasks"
        )
    return samples


def _before_answer(conversation: Sequence[Turn]) -> tuple[Turn, ...]:
    return tuple(conversation[:-1] if conversation and conversation[-1].role == "assistant" else conversation)


def _filled(text: str, sample: ECGSample, number: int, seed: int) -> tuple[str, str]:
    """A follow-up in words, and its true answer: "yes", "no", or "" where it is no yes/no question."""
    if FINDING not in text:
        return text, ""
    rng = chance(seed, "follow-up", sample.id, number)
    shown = {key for words in sample.evidence for key in find(words)}
    groups = {"yes": [key for key in BY_KEY if key in shown], "no": [key for key in BY_KEY if key not in shown]}
    truth = rng.choice([word for word, keys in groups.items() if keys])
    return text.replace(FINDING, BY_KEY[rng.choice(groups[truth])].name), truth


def _rows(held: Sequence[ECGSample], asked: Mapping[str, Sequence[tuple[str, str]]]) -> pd.DataFrame:
    """Conversations as rows, one a turn of each: id, patient, turn (from 1), question, answer, truth ("" where none
    is known).
    """
    rows = []
    for one in held:
        truths = ["", *(truth for _, truth in asked[one.id])]
        texts = [turn.text for turn in one.conversation[-2 * len(truths) :]]
        for number, (question, text, truth) in enumerate(zip(texts[::2], texts[1::2], truths, strict=True), start=1):
            rows.append([one.id, one.patient or one.id, number, question, text, truth])
    return pd.DataFrame(rows, columns=["id", "patient", "turn", "question", "answer", "truth"])
