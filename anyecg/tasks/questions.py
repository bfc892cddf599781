"""Questions from stored recordings: every task asks the stores what they have, and all of it goes into one file (the
paper's Dataset section).
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from anyecg.config.schema import Slot
from anyecg.data.dataset.questions_file import Questions, write_counted
from anyecg.data.store.store import digest
from anyecg.findings import FINDINGS
from anyecg.registry import registry
from anyecg.tasks.base import Sources, Task
from anyecg.types import ConfigError, DataError, ECGSample

PACKAGE = __name__.partition(".")[0]


def built_tasks(slots: Mapping[str, Slot], corpora: Mapping[str, Slot]) -> dict[str, Task]:
    """The tasks of a configuration, to build questions about these corpora with.

    ConfigError where two make one pool, and with all that is wrong with their settings as far as can be said before a
    recording is read, one a line.
    """
    owners: dict[str, str] = {}
    for key, slot in slots.items():
        for pool in slot.component.makes(slot.config):
            if owners.setdefault(pool, key) != key:
                raise ConfigError(
                    f"tasks.{key}: makes the pool '{pool}' as tasks.{owners[pool]} does; leave one of the two out"
                )
    tasks = {key: slot.build() for key, slot in slots.items()}
    wrong = [f"tasks.{key}.{setting}: {what}" for key, task in tasks.items() for setting, what in task.check(corpora)]
    if wrong:
        raise ConfigError("\n".join(wrong))
    return tasks


def scoring_tasks(info: Mapping[str, Any], text_encoder: Any = None) -> dict[str, Task]:
    """Key -> the task that scores a data set's questions, from their `info`; where that names none (imported ones),
    all that anyecg has.
    """
    known = registry("task")
    components = (
        {key: one["name"] for key, one in info["tasks"].items()}
        if "tasks" in info
        else {name: name for name in known.table()}
    )
    return {key: known[name](None, info, text_encoder) for key, name in components.items()}


def identity(
    slots: Mapping[str, Slot], tasks: Mapping[str, Task], sources: Sources
) -> tuple[dict[str, dict[str, Any]], str]:
    """What the questions depend on: (key -> the task's name and all its questions depend on beside the stores and the
    seed, the key of everything). What the tasks `prepare` is there.
    """
    settings = {
        key: {"name": slots[key].name, "version": _version(task), **task.settings(sources)}
        for key, task in tasks.items()
    }
    vocabulary = [(finding.name, finding.pattern.pattern) for finding in FINDINGS]
    made = [(key, sorted(one.items())) for key, one in settings.items()]
    return settings, digest([sources.stores.fingerprint, made, sources.seed, vocabulary])


def build_questions(
    tasks: Mapping[str, Task], settings: Mapping[str, Mapping[str, Any]], sources: Sources, path: Path
) -> Questions:
    """Write every question to `path` (Arrow) and a summary of counts beside it (`.json`), whole or not at all.

    tasks: prepared; settings: of `identity`. The same sources and tasks give the same bytes. DataError where nothing
    can be asked.
    """
    info: dict[str, Any] = {
        "seed": sources.seed,
        "tasks": settings,
        "data": sources.stores.fingerprint,
        "rules": {key: task.rule for key, task in tasks.items()},
    }
    for task in tasks.values():
        info |= task.shared(sources)
    questions = write_counted(path, _all(tasks, sources), info, sources.dropped, answer_kind(tasks))
    if not len(questions):
        path.unlink()
        corpora = ", ".join(store.summary["corpus"] for store in sources.stores)
        raise DataError(f"no question can be asked of {corpora} by the tasks {', '.join(tasks) or '(there is none)'}")
    return questions


def answer_kind(tasks: Mapping[str, Task]):
    """What tells apart the questions of a summary: `kind(sample)`, by the task of each."""
    return lambda sample: tasks[sample.task].answer_kind(sample) if sample.task in tasks else ""


def _all(tasks: Mapping[str, Task], sources: Sources) -> Iterator[tuple[str, ECGSample]]:
    for key, task in tasks.items():
        for split, sample in task.build(sources):
            if sample.pool not in task.pools:
                raise DataError(
                    f"tasks.{key}: question {sample.id} is of the pool '{sample.pool}', which "
                    f"{type(task).__name__}.pools does not name"
                )
            yield split, sample if sample.task == key else renamed(sample, key)


def renamed(sample: ECGSample, task: str) -> ECGSample:
    """A question as one of the task's key."""
    return ECGSample(**{**vars(sample), "task": task})


def _version(task: Task) -> int | str:
    """Of its rules; of a task outside the package, also the content of its file."""
    if type(task).__module__.partition(".")[0] == PACKAGE:
        return task.version
    return (
        f"{task.version}-{hashlib.sha256(inspect.getsource(inspect.getmodule(type(task))).encode()).hexdigest()[:12]}"
    )
