"""Questions about one's own ECGs, turn after turn, in the form that a model was trained on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anyecg.data.clips import clips
from anyecg.data.loading.collate import Collator
from anyecg.data.loading.dataset import Item
from anyecg.data.own import read_ecg
from anyecg.data.own.digitise import read_page
from anyecg.data.own.picture import is_picture, read_picture
from anyecg.data.store.preprocess import canonical, lead_rows
from anyecg.model import ECGLanguageModel
from anyecg.types import CANONICAL_LEADS, MARKER, DataError, ECGRecord, ECGSample, InputSpec, Picture, Turn, Window

log = logging.getLogger(__name__)

ECG = ECGRecord | Picture | Path | str  # of a question: a record, a picture, or a file of either


@dataclass(frozen=True)
class Reading:
    """What of one's own ECGs a model takes, and how it wants them put."""

    max_seconds: float = 60.0  # a longer ECG is cut to its first seconds, with a warning
    max_ecgs: int = 6  # ECGs in a dialogue
    gap: str = "\n"  # between an ECG and the question that follows it
    # a picture for an encoder that takes the signal: refused, or its traces are read off the page (clean pages only)
    digitise: bool = False


@dataclass
class Dialogue:
    """Turns so far, and the clips `[S, *shape]` and present leads `[12]` of every ECG shown in them."""

    turns: list[Turn] = field(default_factory=list)
    clips: list[np.ndarray] = field(default_factory=list)
    lead_masks: list[np.ndarray] = field(default_factory=list)

    def question(self, text: str, ecgs: Sequence[ECG], reading: Reading, spec: InputSpec) -> Item:
        """The dialogue with a next question over further ECGs, ready to collate; the dialogue itself stays as it is.

        Each `<ecg>` of the text is the place of one ECG. Without any, one ECG stands before the question and several
        stand one a line, "ECG 1:" and so on, as in MultiECG. DataError where their numbers differ, where there are more
        ECGs than the model takes, or where one cannot be read.
        spec: what the model's encoder takes.
        """
        if isinstance(ecgs, (str, Path, ECGRecord, Picture)):
            raise DataError(f"ecgs: give a list, such as [{str(getattr(ecgs, 'id', ecgs))!r}]")
        before, after = len(self.clips), len(self.clips) + len(ecgs)
        if after > reading.max_ecgs:
            raise DataError(f"{after} ECGs in one dialogue; this model takes {reading.max_ecgs}. Begin a new one")
        marked = text.count(MARKER)
        if marked not in (0, len(ecgs)):
            raise DataError(f"the question has {marked} {MARKER} markers for {len(ecgs)} ECGs; give one each, or none")
        if ecgs and not marked:
            names = [""] if after == 1 else [f"ECG {number + 1}: " for number in range(before, after)]
            text = "\n".join(f"{name}{MARKER}" for name in names) + reading.gap + text
        shown = [_clips(_read(ecg), reading, spec) for ecg in ecgs]
        made, masks = [*self.clips, *(one for one, _ in shown)], [*self.lead_masks, *(mask for _, mask in shown)]
        windows = tuple(Window(f"ecg{number + 1}") for number in range(after))
        sample = ECGSample("own", "own", windows, (*self.turns, Turn("user", text)))
        return Item(sample, tuple(made), tuple(masks))

    def answered(self, item: Item, answer: str) -> None:
        """Take a question that `question` made, and its answer, into the dialogue."""
        self.turns = [*item.sample.conversation, Turn("assistant", answer)]
        self.clips, self.lead_masks = list(item.clips), list(item.lead_masks)


class Session:
    """A model and one dialogue with it; every ECG is encoded once.

    reading: how the model wants its ECGs, as its checkpoint says; dialogue: one to go on with (default: a new one).
    """

    def __init__(
        self, model: ECGLanguageModel, reading: Reading | None = None, dialogue: Dialogue | None = None
    ) -> None:
        self.model, self.reading, self.dialogue = model, reading or Reading(), dialogue or Dialogue()
        self._tokens: list[Tensor] = []  # of each ECG of the dialogue that was encoded

    @torch.inference_mode()
    def ask(
        self,
        question: str,
        ecgs: Sequence[ECG] = (),
        max_new_tokens: int = 256,
        watch: Callable[[str], bool] | None = None,
    ) -> str:
        """The greedy answer to a question about earlier ECGs of the dialogue and further ones: files that `read_ecg`
        reads, pictures of paper where the encoder takes them, or records in mV.

        An `<ecg>` in the question is the place of an ECG; without any, they stand before it. watch: gets the answer so
        far after each token, and ends it there where it returns True. DataError where an ECG cannot be read, or the
        dialogue is too long for the LLM's context; the dialogue then stays as it was.
        """
        item = self.dialogue.question(question, ecgs, self.reading, self.model.encoder.input)
        answer, tokens = self._answer(item, self._tokens, max_new_tokens, watch)
        self.dialogue.answered(item, answer)
        self._tokens = tokens
        return answer

    @torch.inference_mode()
    def ask_again(
        self, ecgs: Sequence[ECG] | None, max_new_tokens: int = 256, watch: Callable[[str], bool] | None = None
    ) -> str:
        """The answer to the last question of the dialogue had other ECGs been shown in it: `ecgs`, one in the place of
        each, or None: blank ones, as the blind control has them. Earlier answers stay in the text, and the dialogue
        stays as it is. DataError where nothing was asked, or the numbers of ECGs differ.
        """
        spec, dialogue = self.model.encoder.input, self.dialogue
        if not dialogue.turns:
            raise DataError("nothing was asked in this dialogue yet")
        if ecgs is None:
            shown = [(clips(spec).blank(len(one)), np.zeros(len(CANONICAL_LEADS), bool)) for one in dialogue.clips]
        elif len(ecgs) != len(dialogue.clips):
            raise DataError(
                f"{len(ecgs)} ECGs in the place of the {len(dialogue.clips)} of this dialogue; give one each"
            )
        else:
            shown = [_clips(_read(ecg), self.reading, spec) for ecg in ecgs]
        windows = tuple(Window(f"ecg{number + 1}") for number in range(len(shown)))
        sample = ECGSample("own", "own", windows, tuple(dialogue.turns[:-1]))
        item = Item(sample, tuple(made for made, _ in shown), tuple(mask for _, mask in shown))
        return self._answer(item, [], max_new_tokens, watch)[0]

    def _answer(
        self, item: Item, known: list[Tensor], max_new_tokens: int, watch: Callable[[str], bool] | None
    ) -> tuple[str, list[Tensor]]:
        """The answer to an item whose first ECGs are encoded, and the tokens of all of them."""
        model = self.model
        room = model.llm.context - max_new_tokens
        collate = Collator(model.llm.chat, model.places, room, generate=True, spec=model.encoder.input)
        batch = collate([item]).to(model.device)
        model.eval()
        tokens = [*known, *model.encode_records(item.clips[len(known) :], item.lead_masks[len(known) :])]
        seen = (lambda texts: watch(texts[0])) if watch else None
        return model.answer(batch, max_new_tokens, torch.cat(tokens) if tokens else None, seen)[0].text, tokens

    def restart(self) -> None:
        """Begin a new dialogue."""
        self.dialogue, self._tokens = Dialogue(), []


def _read(ecg: ECG) -> ECGRecord | Picture:
    if isinstance(ecg, (ECGRecord, Picture)):
        return ecg
    return read_picture(ecg) if is_picture(ecg) else read_ecg(ecg)


def _clips(record: ECGRecord | Picture, reading: Reading, spec: InputSpec) -> tuple[np.ndarray, np.ndarray]:
    """Clips `[S, *shape]` as an encoder takes them and bool `[12]` of a record at its own rate, in mV, or of a picture,
    whose leads are taken to be there.
    """
    if isinstance(record, Picture):
        try:
            return clips(spec).pictured(record.pixels), np.ones(len(CANONICAL_LEADS), bool)
        except DataError as error:
            if not reading.digitise:
                raise DataError(
                    f"{record.id}: {error}, or have the traces of a clean page read (load_session(..., digitise=True))"
                ) from error
        record = read_page(record)
        for note in record.notes:
            log.warning("%s: %s", record.id, note)
    signal, mask, broken = canonical(record, spec.fs)
    longest = round(reading.max_seconds * spec.fs)
    if signal.shape[1] > longest:
        log.warning(
            "record %s: %.1f s long; the first %g s are read", record.id, signal.shape[1] / spec.fs, reading.max_seconds
        )
    lost = [CANONICAL_LEADS[lead] for lead in sorted(lead_rows(record.leads, record.assumed)[0]) if not mask[lead]]
    if lost:
        log.warning("record %s: %s left out: mostly invalid, or with a long gap", record.id, ", ".join(lost))
    if broken:
        log.warning("record %s: %d invalid samples are interpolated", record.id, broken)
    return clips(spec).make(signal[:, :longest], mask, record.id), mask
