"""Questions built in a test: tasks by name and settings, from stores that are there."""

from anyecg.config.schema import TASKS, slots_of
from anyecg.tasks.base import Sources
from anyecg.tasks.questions import build_questions


def tasks(**settings):
    """The five tasks that anyecg builds by default, some with settings of their own."""
    return slots_of("task", **{name: settings.get(name, {}) for name in TASKS})


def only(**settings):
    """The tasks that are named."""
    return slots_of("task", **settings)


def build(stores, slots, path, seed=0):
    """The questions of stores, written to a path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return build_questions(
        slots, Sources(stores, {store.summary["corpus"]: None for store in stores}, path.parent, seed), path
    )
