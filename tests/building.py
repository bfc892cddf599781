"""Questions built in a test: tasks by name and settings, from stores that are there."""

from anyecg.config.schema import TASKS, slots_of
from anyecg.tasks.base import Sources
from anyecg.tasks.questions import build_questions, built_tasks, identity


def tasks(**settings):
    """The five tasks that anyecg builds by default, some with settings of their own."""
    return slots_of("task", **{name: settings.get(name, {}) for name in TASKS})


def only(**settings):
    """The tasks that are named."""
    return slots_of("task", **settings)


def build(stores, slots, path, seed=0):
    """The questions of stores, written to a path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    corpora = {store.summary["corpus"]: None for store in stores}
    sources, made = Sources(stores, corpora, path.parent, seed), built_tasks(slots, corpora)
    for task in made.values():
        task.prepare(sources)
    settings, _ = identity(slots, made, sources)
    return build_questions(made, settings, sources, path)
