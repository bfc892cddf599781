"""An experiment's stages before any is trained, as tables: what trains, tokens, FLOPs, memory a GPU and hours."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table

from anyecg.config.schema import Experiment
from anyecg.data.dataset.built import open_dataset
from anyecg.data.dataset.data import Data
from anyecg.tasks.build import find_data
from anyecg.training.assembly import training_texts
from anyecg.training.engines import engines
from anyecg.training.engines.base import PER_NODE, Estimate
from anyecg.training.flops import FORMULA
from anyecg.training.plan_lengths import MEASURED
from anyecg.training.planning import check_batches
from anyecg.training.projection import Projection, project
from anyecg.types import ConfigError, DataError

GPUS = (1, 2, 4, 8, 16, 32, 64)
MISSING = "–"
TRAINS, ENGINE = "trains", "engine"
WIDE = 150  # characters of a line where there is no terminal
STATES = {True: "in the cache", False: "to train", None: "not known"}


def show_plan(experiment: Experiment, mfu: float, peak: float) -> None:
    """Print it. mfu: share of the peak that goes into the model; peak: FLOP/s of a GPU."""
    if not 0 < mfu <= 1:
        raise ConfigError(f"--mfu {mfu}: give a share above 0 and up to 1, such as 0.4")
    if peak <= 0:
        raise ConfigError(f"--peak {peak}: give FLOP/s above 0, such as 989e12 (an H100 in bfloat16)")
    check_batches(experiment)
    data, why = data_there(experiment)
    projection = project(experiment, data, (lambda: training_texts(data)) if data else None)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
    console.print(
        f"[bold]{experiment.name}[/] at scale={experiment.scale}; nothing was trained and no weights were read"
    )
    console.print("  " + parameters_line(projection), "", sep="\n")
    console.print(stages_table(projection), hours_table(projection, mfu, peak), sep="\n")
    memory, missing = estimates()
    console.print(memory_table(projection, memory))
    for note in [*missing, *notes(experiment, projection, why, mfu, peak)]:
        console.print(f"- {note}", markup=False)


def parameters_line(projection: Projection) -> str:
    """Each part's parameters."""
    return ", ".join(f"{group} {short(count)}" for group, count in projection.parameters.items()) + " parameters"


def data_there(experiment: Experiment) -> tuple[Data | None, str]:
    """The experiment's data where all of it is built, and otherwise why it is not known."""
    if experiment.dataset:
        try:
            return open_dataset(experiment.dataset, experiment.input_spec.fs), ""
        except DataError as error:
            return None, str(error)
    data = find_data(
        experiment.corpora, experiment.tasks, experiment.cache, experiment.tasks_seed, experiment.input_spec.fs
    )
    return data, "" if data else f"its data is not built in {experiment.cache}"


def stages_table(projection: Projection) -> Table:
    table = _table(
        "Stages",
        [
            TRAINS,
            "",
            "samples",
            "steps x batch",
            "10 s clips\na sample",
            "tokens\na sample",
            "learned\na sample",
            "tokens\na step",
            "FLOPs\na step",
            "FLOPs\nin all",
        ],
    )
    for stage in projection.stages:
        batch = stage.cfg.batch_size
        table.add_row(
            stage.name,
            "\n".join(f"{group} {short(count)}" for group, count in stage.trains.items()),
            STATES[stage.trained],
            f"{stage.samples:,}",
            f"{stage.steps:,} x {batch}",
            f"{stage.cost.clips:.1f}",
            *(
                f"{value:,.0f}" if value else MISSING
                for value in (stage.cost.tokens, stage.cost.answers, stage.cost.tokens * batch)
            ),
            *(f"{value:.2e}" for value in (stage.cost.flops * batch, stage.cost.flops * stage.samples)),
        )
    return table


def hours_table(projection: Projection, mfu: float, peak: float) -> Table:
    table = _table(
        f"Hours at an MFU of {mfu:g} of {peak:.3g} FLOP/s a GPU", [f"{gpus} GPU{'s' * (gpus > 1)}" for gpus in GPUS]
    )
    hours = [[stage.hours(gpus, mfu, peak) for gpus in GPUS] for stage in projection.stages]
    for stage, row in zip(projection.stages, hours):
        table.add_row(stage.name, *(MISSING if value is None else f"{value:,.1f}" for value in row))
    totals = [None if None in column else sum(column) for column in zip(*hours)]
    table.add_row("all", *(MISSING if value is None else f"{value:,.1f}" for value in totals), style="bold")
    return table


def estimates() -> tuple[dict[str, Estimate], list[str]]:
    """The memory estimates of every registered engine's variants by label, and a note for each engine that has none
    here.
    """
    found, missing = {}, []
    for name in engines.table():
        try:
            found |= engines[name].estimates()
        except ConfigError as error:
            missing.append(f"Memory under {name} is not estimated: {error}.")
    return found, missing


def memory_table(projection: Projection, memory: Mapping[str, Estimate]) -> Table:
    table = _table(
        "GiB a GPU of weights, gradients and optimizer", [ENGINE, *(f"{gpus} GPU{'s' * (gpus > 1)}" for gpus in GPUS)]
    )
    for stage in projection.stages:
        for number, (engine, estimate) in enumerate(memory.items()):
            row = [f"{estimate(stage.learning, stage.frozen, stage.largest, gpus) / 2**30:.1f}" for gpus in GPUS]
            table.add_row(stage.name if number == 0 else "", engine, *row, end_section=number == len(memory) - 1)
    return table


def notes(experiment: Experiment, projection: Projection, why: str, mfu: float, peak: float) -> list[str]:
    """What the tables take for granted, a sentence or two each."""
    told = [f"Not known which stages the cache holds: {why}."] if why else []
    told.append(f"A clip of 10 s makes {projection.clip_tokens} tokens.")
    stated = [pool for pool, number in projection.lengths.items() if not number]
    seen = [f"{pool} {number}" for pool, number in projection.lengths.items() if number]
    if seen:
        told.append(f"Lengths are measured on training questions (at most {MEASURED} a pool): {', '.join(seen)}.")
    if stated:
        told.append(
            f"Lengths are assumed for {', '.join(stated)}: ECG tokens as the configuration makes them (windows of "
            f"every length and series of every "
            "size equally frequent), text as long as on the simulated corpora. Real reports and answers that an LLM "
            "wrote differ."
        )
    told.append(f"FLOPs: {FORMULA}. Padding, the optimizer, reading data and evaluation are not counted.")
    recomputed = [
        f"{stage.name} {stage.cost.recomputed / stage.cost.flops:.0%}"
        for stage in projection.stages
        if stage.cost.recomputed
    ]
    if recomputed:
        told.append(
            f"Gradient checkpointing computes as much again as this share of the model's FLOPs: "
            f"{', '.join(recomputed)}. "
            "By the usual definition an MFU leaves it out, so state one that was measured with it."
        )
    told.append(
        f"An MFU of {mfu:g} and a peak of {peak:.3g} FLOP/s are assumptions (--mfu, --peak); nothing here was timed. "
        f"{PER_NODE} GPUs make a node; the time between GPUs is part of the MFU."
    )
    told.append(
        "Memory: ZeRO by DeepSpeed's estimators (16-bit training, Adam in float32), given the number of parameters "
        "that train; the others by 16 bytes a parameter that "
        "trains (float32 weight, gradient, two moments). Frozen weights are added at 2 bytes, under fsdp 4: whole on "
        "every GPU under ddp and ZeRO-2, a share under ZeRO-3 and "
        "fsdp, none with all on the CPU (offload: all). Activations are not in it: they grow with micro_batch and "
        "tokens."
    )
    uneven = [stage.name for stage in projection.stages if any(stage.hours(gpus, mfu, peak) is None for gpus in GPUS)]
    if uneven:
        told.append(f"{MISSING} under hours: a batch that does not go evenly to so many GPUs ({', '.join(uneven)}).")
    told += dict.fromkeys(note for stage in projection.stages for note in stage.notes)
    return told


def short(count: int) -> str:
    """19931136 as "19.9 M"."""
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= unit:
            return f"{count / unit:.2f} {name}" if name == "B" else f"{count / unit:.1f} {name}"
    return str(count)


def _table(title: str, columns: Iterable[str]) -> Table:
    table = Table("stage", title=title, title_justify="left")
    for name in columns:
        table.add_column(name, justify="left" if name in (TRAINS, ENGINE) else "right", no_wrap=True)
    return table
