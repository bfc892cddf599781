"""Conversations: scripted follow-up questions about a test question's ECGs, each asked with the model's own answers before it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from anyecg.data.findings import BY_KEY, find
from anyecg.data.questions.phrasings import chance
from anyecg.evaluation.controls import SIGNAL
from anyecg.tasks.ecg_qa import plain
from anyecg.types import MARKER, ConfigError, DataError, ECGSample, Prediction, Turn

log = logging.getLogger(__name__)

Answer = Callable[[list[ECGSample], str], Iterator[Prediction]]
FINDING = "{finding}"  # stands in a follow-up for the name of a finding, which makes it a yes/no question with a known answer
FILE = "conversations.json"


@dataclass(frozen=True)
class Script:
    """How conversations of one kind go: a test question of the task `opens`, over its one or several ECGs, then the follow-ups."""

    name: str
    opens: str
    follow_ups: tuple[str, ...]


def read_scripts(path: str | Path) -> list[Script]:
    """The scripts of a YAML file, `conversations: [{name, opens, follow_ups: [...]}]`; ConfigError, naming file and script, for any that is none."""
    try:
        entries = yaml.safe_load(Path(path).read_text(encoding="utf-8"))["conversations"]
        scripts = [Script(str(entry["name"]), str(entry["opens"]), tuple(entry["follow_ups"])) for entry in entries]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: no conversations can be read ({error!r}); see experiments/conversations.yaml") from error
    for script in scripts:
        if not script.follow_ups or not all(isinstance(text, str) and text.strip() and MARKER not in text for text in script.follow_ups):
            raise ConfigError(f"{path}: conversation '{script.name}': follow_ups are questions in words, without {MARKER}; one at least")
    if len({script.name for script in scripts}) < len(scripts):
        raise ConfigError(f"{path}: two conversations have one name")
    return scripts


def converse(answer: Answer, samples: Sequence[ECGSample], follow_ups: Mapping[str, Sequence[str]], view: str = SIGNAL) -> list[ECGSample]:
    """The samples with the conversations that were held: the opening question, then each follow-up, every one answered by the model.

    samples: opening questions with their ECGs; a reference answer at their end is left out. follow_ups: id -> what is asked
    next, as many for each. All conversations go turn by turn, so that a turn is one call of `answer`. DataError for an answer
    too few.
    """
    held = [replace(one, conversation=_before_answer(one.conversation)) for one in samples]
    for turn in range(1 + max((len(texts) for texts in follow_ups.values()), default=0)):
        if turn:
            held = [replace(one, conversation=(*one.conversation, Turn("user", follow_ups[one.id][turn - 1]))) for one in held]
        said = {prediction.id: prediction.text for prediction in answer(held, view)}
        missing = [one.id for one in held if one.id not in said]
        if missing:
            raise DataError(f"conversations, turn {turn + 1}: {len(missing)} questions stayed without an answer: {', '.join(missing[:5])}")
        held = [replace(one, conversation=(*one.conversation, Turn("assistant", said[one.id]))) for one in held]
    return held


def hold(answer: Answer, scripts: Sequence[Script], samples_by_task: Mapping[str, Sequence[ECGSample]], folder: Path, seed: int = 0,
         key: str = "") -> dict[str, Any]:
    """Hold every script's conversations over the questions that open it; write `conversations.json` and return it.

    A follow-up with {finding} is asked of a finding that the ECGs' reports assert or, as often, of one that they do not,
    drawn by seed and id. The file: {"key", "scripts": {NAME: {"n", "turns": [{"n", "empty", "yes_no": n, "unread", "accuracy"}],
    "conversations": [{"id", "turns": [{"question", "answer", "truth"}]}]}}}; a turn without such a follow-up has no accuracy.
    The same file is returned without asking where it was written under the same key. DataError for a script without questions.
    """
    path = folder / FILE
    identity = json.dumps([key, seed, [[script.name, script.opens, script.follow_ups] for script in scripts]])
    known = _kept(path)
    if known.get("key") == identity:
        return known
    report: dict[str, Any] = {"key": identity, "scripts": {}}
    for script in scripts:
        samples = list(samples_by_task.get(script.opens, ()))
        if not samples:
            raise DataError(f"conversation '{script.name}': there are no questions of task {script.opens} to open it; add it to evaluation.tasks")
        asked = {one.id: [_filled(text, one, number, seed) for number, text in enumerate(script.follow_ups)] for one in samples}
        held = converse(answer, samples, {id: [text for text, _ in texts] for id, texts in asked.items()})
        report["scripts"][script.name] = _summary(held, {id: ["", *(truth for _, truth in texts)] for id, texts in asked.items()})
        log.info("conversation '%s': %d held over %d turns", script.name, len(held), 1 + len(script.follow_ups))
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(report, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(draft, path)
    return report


def yes_or_no(text: str) -> str:
    """What an answer begins with, "yes" or "no"; "" where with neither."""
    first = plain(text).split(",")[0].split(" ")[0].strip(".!:;")
    return first if first in ("yes", "no") else ""


def _kept(path: Path) -> dict[str, Any]:
    """What a conversations.json holds; nothing where it is missing or damaged, so that all is asked again."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        log.warning("%s is damaged (%s); its conversations are held again", path, error)
        return {}


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


def _summary(held: Sequence[ECGSample], truths: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """How a script's conversations went: counts of each of its turns, and every conversation."""
    said = {one.id: _exchanges(one, len(truths[one.id])) for one in held}
    turns = []
    for number in range(len(next(iter(truths.values())))):
        answers = [(said[one.id][number][1], truths[one.id][number]) for one in held]
        checked = [(yes_or_no(text), truth) for text, truth in answers if truth]
        turn = {"n": len(answers), "empty": sum(not text.strip() for text, _ in answers), "yes_no": len(checked)}
        if checked:
            turn |= {"unread": sum(not word for word, _ in checked), "accuracy": round(sum(word == truth for word, truth in checked) / len(checked), 6)}
        turns.append(turn)
    conversations = [
        {"id": one.id, "turns": [{"question": question, "answer": text, "truth": truth}
                                 for (question, text), truth in zip(said[one.id], truths[one.id], strict=True)]}
        for one in held
    ]  # fmt: skip
    return {"n": len(held), "turns": turns, "conversations": conversations}


def _exchanges(sample: ECGSample, count: int) -> list[tuple[str, str]]:
    """The last `count` questions of a conversation with their answers."""
    texts = [turn.text for turn in sample.conversation[-2 * count :]]
    return list(zip(texts[::2], texts[1::2], strict=True))
