"""The card of an exported model: what it is, what trained it, the run's own table with its controls, and how to use
it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from anyecg.config.schema import Experiment
from anyecg.data.dataset.provenance import origin, told
from anyecg.evaluation.controls import BLIND, SHUFFLED
from anyecg.evaluation.tables import Grid
from anyecg.plots.views import label

SIMULATED = "**It was trained and tested on simulated ECGs. What it says of a real one means nothing.**"
LIMITS = (
    "For research only. It is no medical device, and no clinician has checked its answers. Beside every figure stands "
    "what the same model "
    "scores without the ECG and with another patient's ECG: where these are no lower, it did not use the ECG."
)


def card(
    run: str,
    name: str,
    experiment: Experiment,
    metrics: Mapping[str, Any],
    table: str,
    stages: Sequence[Mapping[str, Any]],
    parameters: Mapping[str, int],
    llm: str | None,
    inside: bool,
) -> str:
    """`README.md` of an exported model, as markdown.

    run, name: names of the run and of the model's folder; table: the run's `table.md`; stages: what each stage's
    `stage.json` says, in order; parameters: of each group; llm: the LLM's name, None of an encoder alone; inside:
    whether its weights are in the folder.
    """
    simulated = not experiment.dataset and any(slot.config.root is None for slot in experiment.corpora.values())
    unasked = [label(view) for view in (BLIND, SHUFFLED) if view not in metrics["views"]]
    return "\n".join(
        [
            *_front(llm, inside),
            f"# {name}",
            "",
            f"An ECG {'language model' if llm else 'encoder'} that was trained with anyecg: run `{run}`, scale "
            f"{experiment.scale}, seed {experiment.seed}.",
            "",
            *([experiment.description, ""] if experiment.description else []),
            *([SIMULATED, ""] if simulated else []),
            LIMITS,
            "",
            *_use(name, llm, inside),
            *_parts(experiment, parameters, llm, inside),
            *_data(experiment),
            *_stages(stages),
            "## Results",
            "",
            f"{experiment.evaluation.split} split by patient; greedy decoding; {100 * metrics['level']:g} % intervals "
            f"by patient "
            f"({metrics['bootstrap']} resamples).",
            "",
            *([f"Not evaluated here: {', '.join(unasked)}.", ""] if unasked else []),
            table[max(table.find("### "), 0) :],
        ]
    )


def _front(llm: str | None, inside: bool) -> list[str]:
    """What the Hugging Face hub reads of a card. No licence is given: it depends on the base LLM's and the data's."""
    hub = llm and not inside and llm.count("/") == 1 and not Path(llm).is_absolute() and not Path(llm).exists()
    return [
        "---",
        "library_name: anyecg",
        *([f"base_model: {llm}"] if hub else []),
        "tags:",
        "- ecg",
        "- electrocardiogram",
        "- multimodal",
        "---",
        "",
    ]


def _use(name: str, llm: str | None, inside: bool) -> list[str]:
    loaded = ["## Use", "", "```python", "import anyecg", "", f'model = anyecg.load("{name}")']
    if not llm:
        return [*loaded, 'vectors = model.embed(["ecg.dat"])', "```", ""]
    needs = (
        []
        if inside
        else [
            f"The LLM is not in this folder: it is `{llm}`, loaded from where config.json says. Where it lies "
            f"elsewhere: "
            f'`anyecg.load("{name}", llm={{"path": "FOLDER"}})`.',
            "",
        ]
    )
    return [
        *loaded,
        'print(model.ask("Please provide the report for the following ECG.", ["ecg.dat"]))',
        "session = model.chat()",
        'print(session.ask("Is the rhythm regular?", ["ecg.dat"]))',
        'print(session.ask("And the axis?"))',
        "```",
        "",
        *needs,
    ]


def _parts(experiment: Experiment, parameters: Mapping[str, int], llm: str | None, inside: bool) -> list[str]:
    encoder = ["encoder", experiment.encoder.name, f"{parameters['encoder']:,}"]
    whole = "The whole configuration is in `config.json`, under `experiment`."
    if not llm:
        return [Grid("Parts", ["", "component", "parameters"], [encoder]).markdown(), whole, ""]
    tuned = f", {experiment.llm.config.tuning} tuning of {parameters['llm']:,} parameters" if parameters["llm"] else ""
    rows = [
        encoder,
        ["connector", experiment.connector.name, f"{parameters['connector']:,}"],
        ["fusion", experiment.fusion.name, f"{parameters['fusion'] + parameters['markers']:,}"],
        ["LLM", f"{llm}{tuned}; {'in llm/' if inside else 'not in this folder'}", f"{parameters['llm_weights']:,}"],
    ]
    return [Grid("Parts", ["", "component", "parameters"], rows).markdown(), whole, ""]


def _data(experiment: Experiment) -> Iterator[str]:
    yield from ("### Data", "")
    if experiment.dataset:
        yield from (
            f"The dataset `{Path(experiment.dataset).name}`, built by `python -m anyecg.data build`; its own card "
            f"names its sources.",
            "",
        )
        return
    for key, slot in experiment.corpora.items():
        made = {what: getattr(slot.config, what) for what in ("patients", "seed", "seconds")}
        yield from told(key, origin(slot.component.name, None if slot.config.root else made))
    for slot in experiment.tasks.values():
        for name, of in slot.build().origins().items():
            yield from told(name, origin(*of))
    yield ""


def _stages(stages: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        [
            stage["name"],
            ", ".join(f"{group} ({count:,})" for group, count in stage["trainable"].items()),
            str(stage["steps"]),
            ", ".join(f"{pool} {count:,}" for pool, count in stage["samples"].items()),
        ]
        for stage in stages
    ]
    return [Grid("Training", ["stage", "what learned (parameters)", "steps", "questions seen"], rows).markdown()]
