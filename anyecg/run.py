"""The main job: data, curriculum, evaluation and tables of one experiment.

    python -m anyecg.run experiments/anyecg_chat.yaml                 everything at scale=cpu
    python -m anyecg.run experiments/ablation_no_lead_emb.yaml seed=1  overrides are key=value
    python -m anyecg.run experiments/anyecg_chat.yaml llm=smollm2
    python -m anyecg.run experiments/table8.yaml seeds=[0,1,2]         a suite: the recipe and its ablations in one table
    python -m anyecg.run experiments/anyecg_chat.yaml scale=paper --plan   what every stage would take; trains nothing
    python -m anyecg.run --list                                        every registered component
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import resource
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
import yaml

from anyecg import config

from anyecg.cli import suite
from anyecg.cli.plan import MFU, PEAK, show_plan
from anyecg.config.schema import Experiment
from anyecg.data.dataset.data import Data
from anyecg.tasks.build import build_data
from anyecg.data.dataset.built import open_dataset
from anyecg.evaluation import conversation
from anyecg.evaluation import conversation_metrics as turns
from anyecg.answerers.language_model import Asker
from anyecg.evaluation.selection import require_questions, test_samples
from anyecg.evaluation.controls import BLIND, SIGNAL, patients_of
from anyecg.evaluation.evaluate import evaluate
from anyecg.evaluation.judge import Judge
from anyecg.evaluation.report import write_report
from anyecg.config.fingerprint import fingerprint, folder_name
from anyecg.model import ECGLanguageModel
from anyecg.files import atomic_write
from anyecg.tasks import tasks as task_registry
from anyecg.cli.terminal import guarded, logging_to
from anyecg.training.pipeline import run_curriculum
from anyecg.training.planning import PlannedStage, check_batches, plan
from anyecg.training.distributed import first_alone, is_first, join
from anyecg.training.engines.strategies import check_machine
from anyecg.types import ConfigError

log = logging.getLogger("anyecg")

FINISHED = "finished"  # in a run's folder, written last: the key of its answers


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m anyecg.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", nargs="?", help="an experiment file, e.g. experiments/anyecg_chat.yaml, or a suite of them, experiments/table8.yaml")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="changes to it, e.g. scale=gpu seed=1 encoder.size=small llm=smollm2")
    parser.add_argument("--list", action="store_true", help="name every registered component and leave")
    parser.add_argument("--show", action="store_true", help="print the resolved configuration and leave")
    parser.add_argument("--plan", action="store_true", help="say what an experiment's stages would take (parameters, tokens, FLOPs, memory, hours), or what "
                        "a suite would train and what it would reuse, and leave")
    parser.add_argument("--mfu", type=float, default=MFU, help="with --plan: share of the peak that goes into the model (default: %(default)s)")
    parser.add_argument("--peak", type=float, default=PEAK, metavar="FLOPS", help="with --plan: FLOP/s of one GPU (default: %(default)s, an H100 in bfloat16)")
    options = parser.parse_intermixed_args(arguments)
    return guarded(lambda: dispatch(parser, options))


def dispatch(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """What the command line asks for."""
    if options.list:
        list_components()
    elif not options.experiment:
        parser.error("which experiment? e.g. experiments/anyecg_chat.yaml")
    elif suite.is_suite(options.experiment):
        dispatch_suite(suite.load(options.experiment, options.overrides), options)
    else:
        experiment = config.load(options.experiment, options.overrides)
        if options.show:
            print(config.dump(experiment))
        elif options.plan:
            quieten()
            show_plan(experiment, training_texts, options.mfu, options.peak)
        else:
            run(experiment, run_name(experiment, options.overrides))


def dispatch_suite(loaded: suite.Suite, options: argparse.Namespace) -> None:
    """What the command line asks for of a suite."""
    if options.show:
        print(loaded.dump())
    elif options.plan:
        suite.show_plan(loaded)
    else:
        suite.run_suite(loaded, run, is_finished)


def run(experiment: Experiment, name: str) -> Path:
    """Run an experiment to its table; returns the run's folder. Interrupted, the same call goes on where it stopped."""
    began = time.monotonic()
    check_machine(experiment.trainer)
    join(experiment.trainer)
    check_batches(experiment)
    folder = Path(experiment.output) / name
    if is_first():
        claim_folder(folder, experiment)
        (folder / FINISHED).unlink(missing_ok=True)
    quieten()
    with logging_to(folder / "run.log") if is_first() else contextlib.nullcontext():
        log.info("%s (scale %s, seed %d) -> %s", experiment.name, experiment.scale, experiment.seed, folder)
        settings = experiment.evaluation
        scripts = conversation.read_scripts(settings.conversations) if settings.conversations else []
        with first_alone():
            data = data_of(experiment)
            asked = evaluation_data(experiment, data)
            text_encoder = experiment.text_encoder.build()
        require_questions(asked, settings, scripts)
        tasks = {task: task_registry[task](asked.questions.info, text_encoder) for task in settings.tasks}
        model, stages = run_curriculum(experiment, partial(build_model, experiment, data), data, text_encoder)
        if not is_first():  # one process evaluates
            return folder
        for stage in stages:
            link(folder / "stages" / stage.name, stage.folder)

        samples = {task: test_samples(asked, task, settings.split, settings.limit, settings.seed) for task in tasks}
        model.to("cuda" if experiment.trainer.accelerator in ("gpu", "cuda", "auto") and torch.cuda.is_available() else "cpu")
        asking = partial(Asker, model, asked.stores, experiment.input, settings.batch_size, settings.max_new_tokens, settings.seed)
        key = answers_key(experiment, stages, asked)
        patients = patients_of([sample for part in samples.values() for sample in part], asked.stores)
        judge = Judge(settings.judge, folder) if settings.judge.url else None
        metrics = evaluate(asking(), samples, tasks, folder, views=settings.views, bootstrap=settings.bootstrap, seed=settings.seed, key=key,
                           patients=patients, judge=judge)
        held = []
        if scripts:
            views = [view for view in (SIGNAL, BLIND) if view in settings.views]
            held = [turns.grid(conversation.hold(asking(keep=True), scripts, samples, folder, settings.seed, key, views, settings.bootstrap))]
        write_report(folder, experiment, metrics, stages, samples, tasks, asked.stores, held)
        with atomic_write(folder / FINISHED) as part:
            part.write_text(key)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # the kernel counts KiB
        log.info("done in %.1f minutes, peak memory %.1f GiB; see %s", (time.monotonic() - began) / 60, peak, folder / "table.md")
    return folder


def is_finished(experiment: Experiment, name: str) -> bool:
    """Whether a run has left all that it leaves, with this configuration, this data and these stages."""
    folder = Path(experiment.output) / name
    if not (folder / FINISHED).exists() or _meaning((folder / "config.yaml").read_text()) != _meaning(config.dump(experiment)):
        return False
    data = data_of(experiment)
    return (folder / FINISHED).read_text() == answers_key(experiment, plan(experiment, data.fingerprint), evaluation_data(experiment, data))


def answers_key(experiment: Experiment, stages: list[PlannedStage], data: Data) -> str:
    """The key of everything that determines a run's answers; data: that of the evaluation."""
    settings = {k: v for k, v in config.to_dict(experiment.evaluation).items() if k not in ("judge", "conversations", "corpora", "ecg_qa")}
    return fingerprint([stage.key for stage in stages], settings, data.fingerprint)


def quieten() -> None:
    """Keep the libraries' own notes out of the terminal."""
    warnings.filterwarnings("ignore", module="lightning|torch|transformers")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()


def build_model(experiment: Experiment, data: Data) -> ECGLanguageModel:
    """Encoder, connector and LLM wired by their sizes; each initialised from its own seed, so one never shifts another."""

    def seeded(part: str, build):
        torch.manual_seed(int(fingerprint(experiment.seed, part, length=8), 16))
        return build()

    encoder = seeded("encoder", experiment.encoder.build)
    llm = seeded("llm", lambda: experiment.llm.build(texts=lambda: training_texts(data), cache=Path(experiment.cache)))
    connector = seeded("connector", lambda: experiment.connector.build(encoder.dim, llm.dim))
    return seeded("markers", lambda: ECGLanguageModel(encoder, connector, llm))


def data_of(experiment: Experiment) -> Data:
    """The dataset that the experiment names, or one of its corpora, built where it is not in the cache yet."""
    if experiment.dataset:
        return open_dataset(experiment.dataset)
    corpora = {slot.name: slot.config for slot in experiment.corpora.values()}
    return build_data(corpora, experiment.questions, Path(experiment.cache), experiment.seed)


def evaluation_data(experiment: Experiment, data: Data) -> Data:
    """What the evaluation asks of: `data`, which the stages learn from, or that with corpora and ECG-QA which only the evaluation sees."""
    corpora, ecg_qa = experiment.evaluation.corpora, experiment.evaluation.ecg_qa
    if not corpora and not ecg_qa:
        return data
    if experiment.dataset:
        raise ConfigError("evaluation.corpora, evaluation.ecg_qa: a built dataset is asked what was built into it; build it with them, or leave them out here")
    questions = replace(experiment.questions, ecg_qa=experiment.questions.ecg_qa | ecg_qa)
    return build_data({slot.name: slot.config for slot in (experiment.corpora | corpora).values()}, questions, Path(experiment.cache), experiment.seed)


def training_texts(data: Data) -> Iterator[str]:
    """Every text of the training questions, for a tokenizer that is trained in the run."""
    for row in data.questions.select(split="train"):
        sample = data.questions[int(row)]
        yield from (turn.text for turn in sample.conversation)
        yield from sample.evidence


def run_name(experiment: Experiment, overrides: list[str]) -> str:
    """The run's folder name: the experiment's, and whatever the command line changed that matters to the outcome."""
    return folder_name(experiment.name, overrides)


def claim_folder(folder: Path, experiment: Experiment) -> Path:
    """The run's folder with its resolved configuration; an earlier run of another configuration is moved aside.

    Another judge is no other configuration: it scores the answers that are there.
    """
    path = folder / "config.yaml"
    text = config.dump(experiment)
    if path.exists() and _meaning(path.read_text(), judged=False) != _meaning(text, judged=False):
        aside = next(p for p in (folder.with_name(f"{folder.name}.old{i}") for i in range(1, 10_000)) if not p.exists())
        os.rename(folder, aside)
        log.warning("%s held a run of another configuration; it is now %s", folder, aside)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part:
        part.write_text(text)
    return folder


def _meaning(text: str, judged: bool = True) -> Any:
    """A resolved configuration as plain values, with today's defaults for keys that are newer than it; judged: with its LLM judge."""
    try:
        values = config.to_dict(config.build(Experiment, yaml.safe_load(text), "config.yaml"))
    except (yaml.YAMLError, ConfigError):
        return text
    if not judged:
        values["evaluation"].pop("judge")
    return values


def link(path: Path, target: Path) -> None:
    """A relative symbolic link, replaced if it points elsewhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(os.path.relpath(target, path.parent), target_is_directory=True)


def list_components() -> None:
    """Print the registered components of every kind, one line each."""
    from anyecg.connectors import connectors
    from anyecg.data.corpora import corpora
    from anyecg.encoders import encoders
    from anyecg.llms import llms
    from anyecg.text_encoders import text_encoders

    for registry in (encoders, connectors, llms, text_encoders, corpora, task_registry):
        print(f"{registry.kind}:")
        for name, line in registry.describe().items():
            print(f"  {name:20} {line}")


if __name__ == "__main__":
    sys.exit(main())
