"""Everything that determines a run, as read-only dataclasses; `config.load` fills them from YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, get_type_hints

from anyecg.config.checks import Checks, meant
from anyecg.config.endpoint import EndpointConfig
from anyecg.registry import registry
from anyecg.types import SPLITS, ConfigError, InputSpec

# of parameters, what a stage's `trains` can name
GROUPS = ("encoder", "connector", "fusion", "markers", "llm", "llm_weights")
STAGE_VIEWS = ("signal", "blind", "text")
DESPITE = ("code",)
ON_SPIKE = ("warn", "skip", "stop")
KEPT = ("last", "best")
SCHEDULES = ("cosine", "linear")
LANGUAGE = "language"  # the stage that teaches an LLM without weights of its own to read, before the curriculum
ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")
MATMULS = ("auto", "torch", "onednn")
PRECISIONS = ("32-true", "16-mixed", "bf16-mixed", "16-true", "bf16-true", "64-true", "32", "16", "bf16", "64")
SIGNAL = "signal"  # the view that all others are controls of
STRICT = "strict"  # among `evaluation.views`: every registered view with `strict`
# whose questions are built where nothing else is said
TASKS = ("report", "localization", "multi_ecg", "classification", "ecg_qa")
KEY = re.compile(r"\w[\w.+-]*")  # of a corpus or a task


@dataclass(frozen=True)
class Slot:
    """A filled slot of the experiment: which component, and its validated settings."""

    name: str
    component: Any  # the class: its attributes are those of its kind
    config: Any

    def build(self, *args, **kwargs):
        """The component itself: `component(config, ...)`."""
        return self.component(self.config, *args, **kwargs)

    @property
    def components(self) -> tuple[Any, ...]:
        """Its class, then those of the components that its settings name."""
        inner = [getattr(self.config, f.name) for f in fields(self.config)]
        return (self.component, *(cls for value in inner if isinstance(value, Slot) for cls in value.components))

    @classmethod
    def of(cls, kind: str, name: str, **settings: Any) -> Slot:
        """A slot filled from Python: the component of a kind (a key of `registry.KINDS`) by name or "module:Class",
        with settings.
        """
        component = registry(kind)[name]
        return cls(name, component, component.Config(**settings))


@cache
def types_of(cls: type) -> dict[str, Any]:
    """Field -> type of a dataclass. Python works them out anew each time, as long as the rest of loading takes."""
    return get_type_hints(cls)


def slots_of(kind: str, **settings: Mapping[str, Any]) -> dict[str, Slot]:
    """Slots filled from Python, by name: `slots_of("task", report={}, localization={"windows_per_record": 4})`."""
    return {name: Slot.of(kind, name, **given) for name, given in settings.items()}


def slot(kind: str, default: str | None = None) -> Any:
    """A field filled by one component of a kind (a key of `registry.KINDS`): a name, or `{name: ..., key: value}`."""
    return field(default=default, metadata={"slot": kind, "many": False})


def slots(kind: str, default: Sequence[str] = ()) -> Any:
    """A field of any number of components of a kind, by a key of the user's; where no name is given, the key is the
    name.

    default: keys that are there unless they are set to null.
    """
    return field(default=None, metadata={"slot": kind, "many": True, "default": tuple(default)})


def names(kind: str, default: Sequence[str]) -> Any:
    """A list of names of registered components, which the configuration looks up and does not build."""
    return field(default_factory=lambda: list(default), metadata={"names": kind})


@dataclass(frozen=True)
class InputConfig:
    """What of a question's ECGs reaches the model (the paper's Dynamic ECG Input)."""

    max_seconds: float = 60.0  # a longer window is cut to its first seconds
    max_ecgs: int = 6  # further ECGs of a question are left out, with their markers

    def __post_init__(self) -> None:
        with Checks(self) as check:
            check.number("max_seconds", above=0)
            check.number("max_ecgs", least=1)


@dataclass(frozen=True)
class ValidateConfig:
    """How a stage's validation loss is measured while it trains, on questions of the split "val" in the stage's own
    mixture.
    """

    questions: int | None = None  # in whole batches (None: a share of `samples`, 32 to 256; 0: no validation)
    every: int | None = None  # optimizer steps (None: ten times a stage, or as often as costs little)

    def __post_init__(self) -> None:
        with Checks(self) as check:
            check.number("questions", least=0)
            check.number("every", least=1)


@dataclass(frozen=True)
class StageConfig:
    """A stage of the curriculum as data: what trains, on which questions, for how long."""

    MOVED = {"lead_dropout": "objective.lead_dropout"}

    # what the stage minimises, with its own settings; from Python a name is enough
    objective: Slot = slot("objective", "answer")
    # encoder, connector, fusion, markers, llm (its tuning), llm_weights
    trains: list[str] = field(default_factory=list)
    tasks: dict[str, float] = field(default_factory=dict)  # pool of questions -> weight in the mixture
    replay: dict[str, float] = field(default_factory=dict)  # pools of earlier stages -> weight, times `replay` above
    view: str = "signal"  # "signal", "blind" (no ECG), or "text" (the ECG's evidence as words)
    samples: int = 10_000  # sample visits; rounded up to whole optimizer steps
    batch_size: int = 64  # samples an optimizer step, over all devices and accumulated micro-batches
    micro_batch: int | None = None  # samples a forward pass on one device (None: as the objective cuts a step)
    tokens: int | None = (
        # instead: padded tokens a forward pass on one device, at most; a step's samples of like length go together
        None
    )
    lr: float = 1e-4  # peak learning rate of AdamW
    lr_scale: dict[str, float] = field(default_factory=dict)  # group -> factor on lr
    weight_decay: float = 0.01  # on matrices only
    warmup: float = 0.1  # share of steps before the decay
    schedule: str = "cosine"  # of the learning rate's decay to zero: cosine, linear
    clip: float = 1.0  # gradient norm (0: no clipping)
    spike: float = 5.0  # a loss above so many medians of the last 100 steps' losses is a spike (0: none is)
    on_spike: str = "warn"  # "warn"; "skip": leave the step out and warn; "stop": stop the stage
    validate: ValidateConfig = field(default_factory=ValidateConfig)
    # the stage's output: the weights after its "last" step, or the "best", those of the lowest validation loss
    keep: str = "last"

    def __post_init__(self) -> None:
        if isinstance(self.objective, str):
            object.__setattr__(self, "objective", Slot.of("objective", self.objective))
        with Checks(self) as check:
            check.among("trains", GROUPS)
            check.among("view", STAGE_VIEWS)
            check.among("on_spike", ON_SPIKE)
            check.among("keep", KEPT)
            check.among("schedule", SCHEDULES)
            if self.keep == "best" and self.validate and self.validate.questions == 0:
                check.wrong(
                    "keep",
                    "best is by the validation loss, which validate.questions: 0 leaves out; write last, or validate",
                )
            check.among("lr_scale", GROUPS)
            check.number("samples", "batch_size", "micro_batch", "tokens", least=1)
            check.number("tasks", "replay", "lr_scale", "weight_decay", "clip", "spike", least=0)
            check.number("warmup", least=0, most=1)
            check.number("lr", above=0)
            if 0 < self.spike <= 1:
                check.wrong(
                    "spike",
                    f"{self.spike:g} times the median is no spike; give a factor above 1, or 0 to look for none",
                )
            if len(set(self.trains)) < len(self.trains):
                check.wrong("trains", "names a group twice")
            for group in (group for group in self.lr_scale if group in GROUPS and group not in self.trains):
                check.wrong(
                    f"lr_scale.{group}",
                    f"the stage does not train the group '{group}' (it trains {', '.join(self.trains) or 'nothing'})",
                )
            if self.tokens is not None and self.micro_batch is not None:
                check.wrong("tokens", "cuts a step in place of micro_batch; set one of them to null")
            if self.objective:
                for key, what in self.objective.component.problems(self.objective.config, self):
                    check.wrong(key, what)

    def weights(self, replay: float) -> dict[str, float]:
        """Pool -> its weight in the mixture, above 0; replay: the experiment's factor on what is replayed."""
        mixed = self.tasks | {pool: weight * replay for pool, weight in self.replay.items()}
        return {pool: weight for pool, weight in mixed.items() if weight > 0}


@dataclass(frozen=True)
class TrainerConfig:
    """How Lightning runs a stage; none of it is part of what a stage's output is kept under, but `precision`."""

    MOVED = {"deepspeed": "trainer.strategy"}

    accelerator: str = "auto"  # auto, cpu, gpu, cuda, mps
    devices: int = 1  # GPUs (or processes) of a node
    num_nodes: int = 1  # machines
    # from Python a name is enough; single, ddp, deepspeed, fsdp; auto: single on one device, ddp on several
    strategy: Slot = slot("engine", "auto")
    precision: str = "32-true"  # or bf16-mixed, 16-mixed; bf16-true where the engine keeps float32 weights (deepspeed)
    compile: bool = False  # encoder and LLM through torch.compile while a stage trains
    matmul: str = "auto"  # float32 products on a CPU: torch, onednn; auto: onednn on an AMD CPU with AVX-512
    # logits and cross-entropy in one kernel (torch 2.15, or liger-kernel on a GPU), where the LLM's head is one product
    fused_loss: bool = False
    workers: int = 0  # processes that load batches
    checkpoint_every: int = 50  # optimizer steps between resumable checkpoints
    log_every: int = 10  # optimizer steps between points of the loss curve
    # csv (or none): each stage's loss.csv alone; beside it tensorboard, wandb, mlflow
    logger: Slot = slot("logger", "csv")
    deterministic: bool | str = (
        False  # kernels that give the same bits again on a GPU, too; true: an operation without one is an error; "warn"
    )

    def __post_init__(self) -> None:
        for key, kind in (("strategy", "engine"), ("logger", "logger")):
            if isinstance(getattr(self, key), str):
                object.__setattr__(self, key, Slot.of(kind, getattr(self, key)))
        with Checks(self) as check:
            check.among("accelerator", ACCELERATORS)
            check.among("precision", PRECISIONS)
            check.among("matmul", MATMULS)
            check.number("devices", "num_nodes", "checkpoint_every", "log_every", least=1)
            check.number("workers", least=0)
            if self.deterministic not in (True, False, "warn"):
                check.wrong("deterministic", f"true, false or warn, not {self.deterministic!r}")
            if self.strategy:
                for key, what in self.strategy.component.problems(self.strategy.config, self):
                    check.wrong(key, what)

    @property
    def processes(self) -> int:
        """Over all nodes, one a device."""
        return self.devices * self.num_nodes


@dataclass(frozen=True)
class EvaluationConfig:
    """What is measured at the end of a run, and with which controls."""

    MOVED = {"ecg_qa": "evaluation.task_settings.ecg_qa.folders"}

    # keys of `tasks`, names, or "module:Class"
    tasks: list[str] = field(default_factory=lambda: ["classification", "localization", "multi_ecg"])
    # what the model is given: the signal, and controls with part or all of it taken away or exchanged; names of views,
    # or "module:Class"; strict: all that are meant for it
    views: list[str] = field(default_factory=lambda: [SIGNAL, "blind", "shuffled"])
    # answerers that stand beside the experiment's own in its tables
    references: list[str] = names("answerer", ["prior"])
    split: str = "test"  # train, val, test
    limit: int | None = None  # questions a task, drawn evenly over patients (None: all)
    batch_size: int = 32  # questions answered at once
    max_new_tokens: int = 256  # of an answer, at most
    bootstrap: int = 1000  # draws of patients for an interval
    seed: int = 0  # of the draws, of `limit` and of the shuffled view
    conversations: str | None = None  # a file of scripted follow-up questions, held after the evaluation (None: none)
    # the LLM that scores answers over several ECGs (without a url: none)
    judge: EndpointConfig = field(default_factory=EndpointConfig)
    corpora: dict[str, Slot] = slots("corpus")  # asked beside the experiment's `corpora`; no stage sees them
    # tasks in place of, or beside, the experiment's; no stage sees their questions
    task_settings: dict[str, Slot] = slots("task")

    def __post_init__(self) -> None:
        wrong = []
        for name, given in (("tasks", self.tasks), ("views", self.views)):
            if not given:
                wrong.append(f"{name}: empty; name at least one")
            wrong += [
                f"{name}: '{word}' is there twice" for word in sorted({word for word in given if given.count(word) > 1})
            ]
        known = registry("view")
        names = [*known.table(), STRICT]
        wrong += [
            f"views: '{view}' is unknown{meant(view, names)}"
            for view in self.views
            if ":" not in view and view not in names
        ]
        if STRICT in self.views:
            strict = [name for name in known.table() if known[name].strict]
            given = [view for view in self.views if view not in (STRICT, *strict)]
            object.__setattr__(self, "views", strict + given)
        if self.views and SIGNAL not in self.views:
            wrong.append(f"views: the others are controls of '{SIGNAL}'; add it")
        if self.split not in SPLITS:
            wrong.append(f"split: '{self.split}' is unknown{meant(self.split, SPLITS)}")
        numbers = {"limit": 1, "batch_size": 1, "max_new_tokens": 1, "bootstrap": 0}  # and the least that each can be
        wrong += [
            f"{name}: at least {least}, not {value}"
            for name, least in numbers.items()
            if (value := getattr(self, name)) is not None and value < least
        ]
        if wrong:
            raise ValueError("\n".join(wrong))


@dataclass(frozen=True)
class Experiment:
    """Everything that determines a run."""

    MOVED = {
        "questions": {
            "": "tasks.NAME: each task's settings under its name",
            "pools": "tasks (tasks.ecg_qa: null leaves a task out) and tasks.localization.pools",
            "report_corpora": "tasks.report.corpora",
            "reports_per_record": "tasks.report.per_record",
            **{
                name: f"tasks.localization.{name}"
                for name in ("windows_per_record", "negatives_per_positive", "short_seconds", "long_seconds")
            },
            "localization_sizes": "tasks.localization.sizes",
            **{
                name: f"tasks.multi_ecg.{name}"
                for name in ("max_ecgs", "runs_per_patient", "questions_per_run", "writer")
            },
            "ecg_qa": "tasks.ecg_qa.folders",
            "ecg_qa_share": "tasks.ecg_qa.share",
            "ecg_qa_form": "tasks.ecg_qa.form",
        }
    }

    name: str = MISSING  # of its run's folder and of its row in a table
    description: str = ""  # one or two sentences, kept with the run
    paper_row: str | None = None  # the row of the paper's Table 8 that this setting stands beside
    published: str = "anyecg_chat"  # whose published figures stand beside a run's: a file of published/, or a path
    scale: str = "cpu"  # the sizes of experiments/scale/NAME.yaml: cpu, gpu, paper
    seed: int = 0  # of initial weights, of the order of samples and of dropout
    output: str = "runs"  # a run leaves its folder here
    cache: str = "runs/cache"  # simulated corpora, stores and trained stages, shared by all runs
    encoder: Slot = slot("encoder", "vit")  # turns clips of an ECG into tokens
    connector: Slot = slot("connector", "mlp")  # turns an encoder's tokens into what the fusion takes
    fusion: Slot = slot("fusion", "tokens")  # how ECGs reach the LLM
    llm: Slot = slot("llm", "tiny")  # the language model, with its tuning
    text_encoder: Slot = slot("text_encoder", "sentence")  # embeds reports for the contrastive stage and retrieval
    answerer: Slot = slot("answerer", "language_model")  # who answers the evaluation's questions
    # folders that other keys of a file are made of, such as `root: ${data.open}/mitdb`: one key moves them all
    data: dict[str, str] = field(default_factory=dict)
    dataset: str | None = None  # a folder that `python -m anyecg.data build` made; corpora and tasks are then not read
    corpora: dict[str, Slot] = slots("corpus")  # sources of ECGs; a source without a `root` is simulated
    tasks: dict[str, Slot] = slots("task", TASKS)  # what is asked of the corpora; a stage draws from their pools
    tasks_seed: int = 0  # of the questions: no `seed` moves them, so runs of several seeds have the same test
    input: InputConfig = field(default_factory=InputConfig)
    # what may differ in a stage of the cache that is reused: code
    reuse_despite: list[str] = field(default_factory=list)
    replay: float = 1.0  # factor on every stage's replayed part; 0: a stage sees only its new data
    stages: dict[str, StageConfig] = field(default_factory=dict)  # every stage that the curriculum may name
    curriculum: list[str] = field(default_factory=list)  # the stages that run, in order
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        with Checks(self) as check:
            check.number("seed", "tasks_seed", "replay", least=0)
            check.among("reuse_despite", DESPITE)
            if self.stages:
                check.among("curriculum", self.stages)
            training, evaluated = self.corpora or {}, (self.evaluation and self.evaluation.corpora) or {}
            for place, keys in (("corpora", training), ("evaluation.corpora", evaluated), ("tasks", self.tasks or {})):
                for key in (key for key in keys if not KEY.fullmatch(key)):
                    check.wrong(
                        f"{place}.{key}",
                        "a key is part of file names and of ids; use letters, digits and . _ - + only, and give name: "
                        "beside it",
                    )
            for name in self.evaluation.tasks if self.evaluation else ():
                if name not in (self.tasks or {}) and name not in (self.evaluation.task_settings or {}):
                    try:
                        registry("task").target(name)
                    except ConfigError as error:
                        check.wrong("evaluation.tasks", str(error))
            if twice := sorted(training.keys() & evaluated.keys()):
                check.wrong(
                    "evaluation.corpora",
                    f"{', '.join(twice)} is there for training and evaluation already; leave it out here",
                )

    def pools(self) -> dict[str, str]:
        """Pool of questions -> the key of the task that makes it, with these settings."""
        return {pool: key for key, slot in (self.tasks or {}).items() for pool in slot.component.makes(slot.config)}

    def evaluated_tasks(self) -> dict[str, Slot]:
        """The tasks that are evaluated, by key: of `evaluation.task_settings` or `tasks`, or with their defaults
        where neither has them.
        """
        known = (self.tasks or {}) | (self.evaluation.task_settings or {})
        found: dict[str, Slot] = {}
        for name in self.evaluation.tasks:
            key = (
                name
                if name in known
                else next((key for key, slot in known.items() if slot.component is registry("task")[name]), None)
            )
            slot = known[key] if key else Slot.of("task", name)
            found[key or slot.component.name] = slot
        return found

    @property
    def input_spec(self) -> InputSpec:
        """What the encoder takes: its data is built at this rate, and made into such clips."""
        return self.encoder.component.input_spec(self.encoder.config)

    def trained(self) -> list[str]:
        """The names of the stages that run, in order: an LLM without weights of its own learns to read first."""
        first = [LANGUAGE] if self.llm and getattr(self.llm.component, "trained_in_run", False) else []
        return self._needed([*first, *self.curriculum])

    def _needed(self, names: list[str]) -> list[str]:
        """Of the stages in order, those that train what the answerer uses, or what a later one of them computes
        with.
        """
        uses = getattr(self.answerer.component, "uses", None) if self.answerer else None
        if uses is None:
            return names
        needed, kept = set(uses), []
        for name in reversed(names):
            stage = self.stages.get(name)
            if stage is None or not needed.isdisjoint(stage.trains):
                kept.append(name)
                if stage is not None and stage.objective:
                    needed |= stage.objective.build().depends(self, stage, tuned=True).groups
        return kept[::-1]


def to_dict(value: Any) -> Any:
    """Plain containers of an experiment (or a part of one), as saved in a run's `config.yaml`."""
    if isinstance(value, Slot):
        return {"name": value.name, **to_dict(value.config)}
    if is_dataclass(value):
        return {f.name: to_dict(_with_nulls(f, getattr(value, f.name))) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_dict(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_dict(v) for v in value]
    return value


def _with_nulls(f: Field, value: Any) -> Any:
    """The value of a field, with null for each of its default keys that is left out."""
    left_out = [key for key in f.metadata.get("default", ()) if value is not None and key not in value]
    return {**value, **dict.fromkeys(left_out)} if left_out else value
