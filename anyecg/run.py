"""The main job: data, curriculum, evaluation and tables of one experiment.

    python -m anyecg.run experiments/anyecg_chat.yaml                 everything at scale=cpu
    python -m anyecg.run experiments/ablation_no_lead_emb.yaml seed=1  overrides are key=value
    python -m anyecg.run experiments/anyecg_chat.yaml llm=smollm2
    python -m anyecg.run --list                                        every registered component
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import resource
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import transformers

from anyecg import config
from anyecg.experiment import Experiment
from anyecg.data.build import Data, build_data
from anyecg.data.folder import open_dataset
from anyecg.evaluation.ask import Asker
from anyecg.evaluation.controls import patients_of
from anyecg.evaluation.evaluate import evaluate
from anyecg.evaluation.report import write_report
from anyecg.fingerprint import fingerprint
from anyecg.model import ECGLanguageModel
from anyecg.tasks import tasks as task_registry
from anyecg.terminal import guarded, logging_to
from anyecg.training.pipeline import run_stages
from anyecg.types import ECGSample

log = logging.getLogger("anyecg")


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m anyecg.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", nargs="?", help="an experiment file, e.g. experiments/anyecg_chat.yaml")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="changes to it, e.g. scale=gpu seed=1 encoder.size=small llm=smollm2")
    parser.add_argument("--list", action="store_true", help="name every registered component and leave")
    parser.add_argument("--show", action="store_true", help="print the resolved configuration and leave")
    options = parser.parse_intermixed_args(arguments)
    return guarded(lambda: dispatch(parser, options))


def dispatch(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """What the command line asks for."""
    if options.list:
        list_components()
    elif not options.experiment:
        parser.error("which experiment? e.g. experiments/anyecg_chat.yaml")
    else:
        experiment = config.load(options.experiment, options.overrides)
        if options.show:
            print(config.dump(experiment))
        else:
            run(experiment, run_name(experiment, options.overrides))


def run(experiment: Experiment, name: str) -> Path:
    """Run an experiment to its table; returns the run's folder. Interrupted, the same call goes on where it stopped."""
    began = time.monotonic()
    folder = claim_folder(Path(experiment.output) / name, experiment)
    quieten()
    with logging_to(folder / "run.log"):
        log.info("%s (scale %s, seed %d) -> %s", experiment.name, experiment.scale, experiment.seed, folder)
        data = data_of(experiment)
        model = build_model(experiment, data)
        text_encoder = experiment.text_encoder.build()
        stages = run_stages(experiment, model, data, text_encoder)
        for stage in stages:
            link(folder / "stages" / stage.name, stage.folder)

        settings = experiment.evaluation
        tasks = {task: task_registry[task](data.questions.info, text_encoder) for task in settings.tasks}
        samples = {task: test_samples(data, task, settings.split, settings.limit, settings.seed) for task in tasks}
        model.to("cuda" if experiment.trainer.accelerator in ("gpu", "cuda", "auto") and torch.cuda.is_available() else "cpu")
        asker = Asker(model, data.stores, experiment.input, settings.batch_size, settings.max_new_tokens)
        key = fingerprint([stage.key for stage in stages], config.to_dict(settings), data.fingerprint)
        patients = patients_of([sample for asked in samples.values() for sample in asked], data.stores)
        metrics = evaluate(asker, samples, tasks, folder, views=settings.views, bootstrap=settings.bootstrap, seed=settings.seed, key=key,
                           patients=patients)
        write_report(folder, experiment, metrics, stages, samples, tasks, data.stores)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # the kernel counts KiB
        log.info("done in %.1f minutes, peak memory %.1f GiB; see %s", (time.monotonic() - began) / 60, peak, folder / "table.md")
    return folder


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


def training_texts(data: Data) -> Iterator[str]:
    """Every text of the training questions, for a tokenizer that is trained in the run."""
    for row in data.questions.select(split="train"):
        sample = data.questions[int(row)]
        yield from (turn.text for turn in sample.conversation)
        yield from sample.evidence


def test_samples(data: Data, task: str, split: str, limit: int | None, seed: int) -> list[ECGSample]:
    """A task's questions of a split; with a limit, drawn evenly over subsets and patients."""
    samples = [data.questions[int(row)] for row in data.questions.select(split=split, task=task)]
    if limit is None or len(samples) <= limit:
        return samples
    order = np.random.default_rng(seed).permutation(len(samples))
    seen: dict[tuple, int] = {}
    ranked = []
    for index in order:
        sample = samples[index]
        for group in ((sample.subset,), (sample.subset, sample.patient)):
            seen[group] = seen.get(group, 0) + 1
        ranked.append((seen[(sample.subset, sample.patient)], seen[(sample.subset,)], int(index)))
    return [samples[index] for _, _, index in sorted(ranked)[:limit]]


def run_name(experiment: Experiment, overrides: list[str]) -> str:
    """The run's folder name: the experiment's, and whatever the command line changed that matters to the outcome."""
    told = [o for o in overrides if o.partition("=")[0] not in ("name", "output", "cache") and not o.startswith("trainer.")]
    suffix = re.sub(r"[^\w=.,-]+", "_", "+".join(told))
    if len(suffix) > 80:
        suffix = suffix[:60] + "-" + fingerprint(sorted(told))
    return experiment.name + (f"+{suffix}" if suffix else "")


def claim_folder(folder: Path, experiment: Experiment) -> Path:
    """The run's folder with its resolved configuration; an earlier run of another configuration is moved aside."""
    path = folder / "config.yaml"
    text = config.dump(experiment)
    if path.exists() and path.read_text() != text:
        aside = next(p for p in (folder.with_name(f"{folder.name}.old{i}") for i in range(1, 10_000)) if not p.exists())
        os.rename(folder, aside)
        log.warning("%s held a run of another configuration; it is now %s", folder, aside)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return folder


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
