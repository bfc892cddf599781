"""The nouns every other module speaks in: record, window, sample, batch, prediction; and the errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:  # reading and building data needs no torch, and its import is slow
    import torch
    from torch import Tensor

CANONICAL_LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

SPLITS = ("train", "val", "test")  # of every corpus, by patient

MARKER = "<ecg>"  # stands in a conversation's text where an ECG is meant

Watch = Callable[[list[str]], bool]  # sees the answers of a batch as they are written; True ends them there

# Ids no tokenizer has. The collator writes them, the model replaces them with embeddings.
ECG_ID, START_ID, END_ID = -1, -2, -3
IGNORED_LABEL = -100


class AnyECGError(Exception):
    """Base of every error a user can mend; the message names the file or key and what to do."""


class DiskFullError(AnyECGError):
    """A disk, a quota or a limit on a file's size that takes no more: whatever is written next fails too."""


class ConfigError(AnyECGError):
    """A configuration that cannot be used: every problem found, one a line."""


class DataError(AnyECGError):
    """A corpus, record, store or question that cannot be used."""


class CheckpointError(AnyECGError):
    """A checkpoint that does not fit the model it is loaded into."""


REQUEUE = 99  # exit status: "queue me again" to Grid Engine by itself, to others where they are told so


class Preempted(SystemExit):
    """A scheduler gave notice, and what can be saved is saved; the message says how far it got."""

    def __init__(self, what: str) -> None:
        super().__init__(REQUEUE)
        self.what = what

    def __str__(self) -> str:
        return self.what


@dataclass(frozen=True)
class InputSpec:
    """What an encoder takes, so that data can make it from millivolts; the default is the paper's.

    kind: how clips are made, a name that `anyecg.data.clips` knows ("signal") or "module:Class"; fs: Hz of the signal
    they are made from; seconds: of a clip; scaling: of the signal of a window, a name of `anyecg.data.clips.scaling` or
    "module:function"; leads: which of the twelve canonical leads, in this order; shape: of one clip, `(leads, samples)`
    unless given (an image: `(3, H, W)`); settings: what else its clip maker has to know, a frozen dataclass of that
    maker's (how pages look). ConfigError for what no signal can be.
    """

    kind: str = "signal"
    fs: float = 100.0
    seconds: float = 10.0
    scaling: str = "lead"
    leads: tuple[str, ...] = CANONICAL_LEADS
    shape: tuple[int, ...] = ()
    settings: Any = None

    def __post_init__(self) -> None:
        unknown = [lead for lead in self.leads if lead not in CANONICAL_LEADS]
        if unknown or not self.leads or len(set(self.leads)) < len(self.leads):
            raise ConfigError(
                f"leads: one or more of {', '.join(CANONICAL_LEADS)}, each once, not {', '.join(self.leads) or 'none'}"
            )
        if not (0 < self.fs < math.inf and 0 < self.seconds < math.inf and round(self.fs * self.seconds) > 0):
            raise ConfigError(f"fs, seconds: clips of {self.seconds} s at {self.fs} Hz hold no signal")
        object.__setattr__(self, "fs", float(self.fs))  # 100 and 100.0 are one rate, and name one store
        if not self.shape:
            object.__setattr__(self, "shape", (len(self.leads), round(self.fs * self.seconds)))


@dataclass(frozen=True)
class ECGRecord:
    """One recording as its source stores it.

    signal: float32 `[L, T]`, mV (NaN where the source marks a sample invalid); fs: Hz; leads: L names; assumed:
    canonical leads that those called "ECG" and no more are taken for, in order, where the reader takes it upon itself;
    notes: what its reader assumed, mended or left out. DataError where signal and leads do not fit.
    """

    signal: np.ndarray
    fs: float
    leads: tuple[str, ...]
    id: str
    patient: str
    assumed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.leads, str):
            raise DataError(f"record {self.id}: leads={self.leads!r} is one text; give a tuple, ({self.leads!r},)")
        if np.ndim(self.signal) != 2 or len(self.signal) != len(self.leads):
            raise DataError(
                f"record {self.id}: a signal of shape {np.shape(self.signal)} is not [L, T] for {len(self.leads)} leads"
            )


@dataclass(frozen=True)
class Picture:
    """One ECG as a picture of paper. pixels: uint8 `[H, W, 3]`, red, green, blue."""

    pixels: np.ndarray
    id: str
    patient: str = ""


@dataclass(frozen=True)
class Window:
    """A stretch of a stored record, in seconds from its beginning; `end=None` means to its end."""

    record: str
    start: float = 0.0
    end: float | None = None

    def __post_init__(self) -> None:
        if self.start < 0 or (self.end is not None and self.end <= self.start):
            raise DataError(f"record {self.record}: a window from {self.start} s to {self.end} s holds no signal")


@dataclass(frozen=True)
class Turn:
    """One turn of a conversation: role is "user" or "assistant"."""

    role: str
    text: str


@dataclass(frozen=True)
class ECGSample:
    """A question over K windows of records, with its answer.

    records: K windows, in the order of the K `<ecg>` markers in the user turns.
    evidence: K texts, what a perfect reader would see in each window (a report, or a list of beats).
    pool: the mixture a stage draws from (`report`, `localization_short`, ...); subset: the row of a table.
    meta: whatever the task's metric needs (reference labels, class name, window length in seconds).
    """

    id: str
    task: str
    records: tuple[Window, ...]
    conversation: tuple[Turn, ...]
    patient: str = ""
    pool: str = ""
    subset: str = ""
    evidence: tuple[str, ...] = ()
    meta: Mapping = field(default_factory=dict)

    def __post_init__(self) -> None:
        markers = sum(turn.text.count(MARKER) for turn in self.conversation if turn.role == "user")
        if markers != len(self.records):
            raise DataError(
                f"question {self.id}: {markers} {MARKER} markers for {len(self.records)} ECGs; one each is needed"
            )

    @property
    def answer(self) -> str:
        """The last assistant turn: the reference answer."""
        return next((turn.text for turn in reversed(self.conversation) if turn.role == "assistant"), "")


@dataclass(frozen=True)
class Places:
    """Positions that an ECG takes in the text: `record` of them and `clip` more for each of its clips, between two
    markers if `markers`.
    """

    record: int
    clip: int
    markers: bool = True

    def inside(self, clips: int) -> int:
        """Positions of an ECG of so many clips, without its markers."""
        return self.record + self.clip * clips


class Batch:
    """Base of the dataclasses that a loader gives: each field is a tensor, or a tuple that stays on the host."""

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        return self._mapped(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        return self._mapped(lambda tensor: tensor.pin_memory())

    def _mapped(self, function: Callable[[Tensor], Tensor]) -> Self:
        moved = {name: function(value) for name, value in vars(self).items() if not isinstance(value, tuple)}
        return replace(self, **moved)  # type: ignore[type-var]


@dataclass
class ECGBatch(Batch):
    """A batch as the model eats it: N clips of R records, owned by B samples; A answer tokens, P places of ECG tokens.

    clips: `[N, *shape]`, as the encoder's InputSpec says; lead_mask: bool `[N, 12]`, False where a canonical lead is
    absent;
    owner: int64 `[N]`, the record of each clip, counted over the batch in the order of the text; rows: int64 `[R]`, the
    sample of each record; clip_counts: of each sample, the clips of each of its records (B tuples of ints), lengths:
    its tokens (B ints), both on the host; in a `packed` batch `[B, T]` below is `[1, sum(lengths)]`, sample by sample;
    input_ids: int64 `[B, T]`, a tokenizer's ids or one of ECG_ID, START_ID, END_ID;
    labels: `[B, T]`, IGNORED_LABEL outside answers; attention_mask: bool `[B, T]`; ids: B strings.
    places, answers: int64 `[P]` and `[A]`, positions in the `B * T` tokens: of ECG tokens, and of those that an answer
    token follows; targets: int64 `[A]`, these answer tokens; learned, passes: int64 scalars, the answer tokens of the
    whole optimizer step and the batches it is cut into: A and 1, or what `StageData` makes them. They are whole numbers
    because an engine in 16 bits rounds every other number of a batch. Nothing that the model needs to know on the host
    has to be read back from a device.
    """

    clips: Tensor
    lead_mask: Tensor
    owner: Tensor
    rows: Tensor
    input_ids: Tensor
    labels: Tensor
    attention_mask: Tensor
    places: Tensor
    answers: Tensor
    targets: Tensor
    learned: Tensor
    passes: Tensor
    ids: tuple[str, ...]
    clip_counts: tuple[tuple[int, ...], ...]
    lengths: tuple[int, ...]

    @property
    def packed(self) -> bool:
        """Whether the tokens of the samples stand one after the other, `[1, P]` in place of `[B, T]`."""
        return len(self.input_ids) < len(self.lengths)

    @property
    def ecg_mask(self) -> Tensor:
        """Bool `[B, T]`: the places of ECG tokens."""
        return self.input_ids == ECG_ID

    @property
    def divisor(self) -> Tensor:
        """Float32 scalar: what the summed loss of the A tokens is divided by, so that the passes' mean is that of
        the step's answer tokens.
        """
        return self.learned.float() / self.passes.float()


class Beside:
    """What an LLM's layers see beside the text, row by row, as a fusion brings it in. This one is empty."""

    def keywords(self) -> dict[str, Any]:
        """Keyword arguments for the body of the LLM, which hands them to its layers."""
        return {}

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows of the batch, int64 `[k]`, as a cache of transformers does: the others have ended."""


@dataclass(frozen=True)
class Prediction:
    """What was predicted for one question.

    scores: of a label ("ptbxl_super:hypertrophy") or an option, the higher the likelier, from an answerer that ranks;
    None from one that writes.
    """

    id: str
    text: str
    scores: Mapping[str, float] | None = None
