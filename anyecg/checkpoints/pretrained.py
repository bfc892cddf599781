"""`anyecg.load`: a trained model as one object that embeds ECGs, ranks labels and answers questions."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from anyecg.checkpoints.hub import located, upload
from anyecg.checkpoints.load import EXPORTED, layout, open_encoder, open_model
from anyecg.checkpoints.zero_shot import ZeroShot, open_zero_shot
from anyecg.data.own import read_array, read_ecg
from anyecg.data.own.channels import Leads
from anyecg.data.own.picture import is_picture
from anyecg.encoders.base import Encoder
from anyecg.model import ECGLanguageModel
from anyecg.session import ECG, Dialogue, Session
from anyecg.types import CheckpointError, DataError, ECGRecord, Picture

TOGETHER = 32  # ECGs that are read and encoded at once


def load(
    name: Path | str,
    *,
    revision: str | None = None,
    llm: Mapping[str, Any] | None = None,
    text_encoder: Mapping[str, Any] | None = None,
    device: str | None = None,
) -> ECGModel:
    """The model in a folder that `anyecg export` wrote, in one of the released checkpoints, or in the repository
    OWNER/NAME of the Hugging Face hub.

    The encoder is loaded at once, the LLM when it is first asked.

    Args:
        name: the folder, or OWNER/NAME, which is fetched where it is not in the hub's cache.
        revision: a commit, branch or tag of the repository.
        llm: settings of the LLM that are others here, such as `{"path": "/models/llama3"}`.
        text_encoder: settings of the text encoder of `classify` that are others here.
        device: such as "cpu" or "cuda:1"; None: a GPU if there is one.

    Raises:
        CheckpointError: there is no such model, or a file of it is missing or damaged.
    """
    return ECGModel(located(name, revision), llm=llm, text_encoder=text_encoder, device=device)


class ECGModel:
    """A trained model in a folder. ECGs are files that `read_ecg` reads, records in mV, arrays `[L, T]` or `[T, L]`
    with `fs`, `leads` and perhaps `units`, or pictures of paper where the encoder takes them.

    encoder: frozen, in eval mode; reading: how long an ECG may be and how many a dialogue takes; arguments of the
    constructor as for `anyecg.load`.
    """

    from_pretrained = staticmethod(load)  # the name that it has in other libraries

    def __init__(
        self,
        folder: Path | str,
        *,
        llm: Mapping[str, Any] | None = None,
        text_encoder: Mapping[str, Any] | None = None,
        device: str | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.encoder: Encoder
        self.encoder, self.reading = open_encoder(self.folder)
        self.encoder.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._llm, self._text_encoder = llm, text_encoder

    def __repr__(self) -> str:
        taken = self.encoder.input
        return f"ECGModel({str(self.folder)!r}: {type(self.encoder).__name__}, {taken.kind} at {taken.fs:g} Hz)"

    @property
    def device(self) -> torch.device:
        return next(self.encoder.parameters()).device

    @cached_property
    def language_model(self) -> ECGLanguageModel:
        """Encoder, connector, fusion and LLM. CheckpointError or ConfigError where the LLM is not to be had."""
        return open_model(self.folder, self._llm)[0].to(self.device)

    @cached_property
    def zero_shot(self) -> ZeroShot:
        """The contrastive stage's space of ECGs and texts; CheckpointError where the folder keeps none."""
        return open_zero_shot(self.folder, self.encoder, self._text_encoder)

    def embed(
        self,
        ecgs: Sequence[ECG | np.ndarray],
        *,
        fs: float | None = None,
        leads: Leads = None,
        units: str | None = None,
    ) -> np.ndarray:
        """One vector an ECG: float32 `[n, encoder.dim]`, the encoder's pooled vectors (of a ViT: the final norm of
        [CLS]), averaged over the clips of a long ECG.

        fs, leads, units: what files and arrays do not say, as for `read_ecg`. DataError names the ECG that cannot be
        read.
        """
        return self._pooled(self.encoder, self._read(ecgs, fs, leads, units)).numpy()

    def classify(
        self,
        ecgs: Sequence[ECG | np.ndarray],
        labels: Sequence[str] | Mapping[str, str],
        *,
        fs: float | None = None,
        leads: Leads = None,
        units: str | None = None,
    ) -> pd.DataFrame:
        """How like each ECG is to each label, without any training on labels: a row an ECG (its record's id), a column
        a label, the cosine between the two in the space of the contrastive stage, -1 to 1.

        A cosine is no probability: compare ECGs within a label (an AUC does), and take the likeliest of several labels
        only where they exclude each other. labels: names, or name -> the text that stands for it. CheckpointError where
        the folder keeps no contrastive stage.
        """
        texts = dict(labels) if isinstance(labels, Mapping) else {label: label for label in _several(labels, "labels")}
        if not texts:
            raise DataError("labels: give at least one")
        space, records = self.zero_shot, list(self._read(ecgs, fs, leads, units))
        cosines = space.ecgs(self._pooled(space.encoder, records)) @ space.texts([*texts.values()]).T
        return pd.DataFrame(cosines.numpy(), index=[_id(record) for record in records], columns=[*texts])

    def ask(
        self,
        question: str,
        ecgs: Sequence[ECG | np.ndarray] = (),
        *,
        max_new_tokens: int = 256,
        fs: float | None = None,
        leads: Leads = None,
        units: str | None = None,
    ) -> str:
        """The greedy answer to one question about ECGs, on its own; `chat` remembers. An `<ecg>` in the question is the
        place of an ECG; without any, they stand before it. Errors as for `Session.ask`.
        """
        return self.chat().ask(question, list(self._read(ecgs, fs, leads, units)), max_new_tokens)

    def chat(self) -> Session:
        """A new dialogue: `session.ask(question, ecgs)`, then further questions about the same ECGs."""
        return Session(self.language_model, self.reading)

    def push_to_hub(self, repository: str, *, private: bool = True, message: str = "A model of anyecg") -> str:
        """Put the folder into the hub's repository OWNER/NAME, made where it is not there; returns its address.

        What is put there are the folder's files, its card among them, and nothing that was changed in memory since. It
        is private unless you say otherwise: whether weights may be published depends on the licences of the LLM and of
        the data. CheckpointError for a folder that anyecg did not write, and where the hub does not take it.
        """
        if layout(self.folder) != EXPORTED:
            raise CheckpointError(f"{self.folder}: was not written by anyecg export, and its authors publish it")
        return upload(self.folder, repository, private, message)

    def _read(
        self, ecgs: Sequence[ECG | np.ndarray], fs: float | None, leads: Leads, units: str | None
    ) -> Iterator[ECGRecord | Picture | Path]:
        """Each ECG as a session takes it."""
        for number, ecg in enumerate(_several(ecgs, "ecgs")):
            if isinstance(ecg, (np.ndarray, Tensor)):
                yield read_array(np.asarray(ecg), fs=fs, leads=leads, units=units, id=f"ecgs[{number}]")
            elif isinstance(ecg, (ECGRecord, Picture)):
                yield ecg
            elif isinstance(ecg, (str, os.PathLike)):
                path = Path(ecg)
                yield path if is_picture(path) else read_ecg(path, fs=fs, leads=leads, units=units)
            else:
                raise DataError(f"ecgs[{number}] is a {type(ecg).__name__}: give a file, an ECGRecord or an array")

    @torch.inference_mode()
    def _pooled(self, encoder: Encoder, records: Iterator | Sequence) -> Tensor:
        """float32 `[n, dim]` on the CPU: the mean over clips of the pooled vectors of each record."""
        reading, found, records = replace(self.reading, max_ecgs=TOGETHER), [], iter(records)
        while part := [record for _, record in zip(range(TOGETHER), records)]:
            item = Dialogue().question("", part, reading, encoder.input)
            owner = torch.repeat_interleave(torch.tensor([len(made) for made in item.clips]))
            shown = torch.from_numpy(np.concatenate(item.clips)).to(self.device)
            masks = torch.from_numpy(np.stack(item.lead_masks))[owner].to(self.device)
            pooled = encoder.pooled(encoder(shown, masks)).float().cpu()
            total = torch.zeros(len(part), encoder.dim).index_add_(0, owner, pooled)
            found.append(total / owner.bincount(minlength=len(part))[:, None])
        return torch.cat(found) if found else torch.zeros(0, encoder.dim)


def _several(given: Any, key: str) -> Sequence:
    """A list as it is; DataError for one thing in the place of a list."""
    alone = isinstance(given, (str, os.PathLike, ECGRecord, Picture)) or (
        isinstance(given, (np.ndarray, Tensor)) and given.ndim < 3
    )
    if alone:
        raise DataError(f"{key}: give a list, [{key[:-1]}], also of a single one")
    return given


def _id(record: ECGRecord | Picture | Path) -> str:
    return record.name if isinstance(record, Path) else record.id
