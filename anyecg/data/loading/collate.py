"""Items become one batch: text tokens, exact positions for ECG tokens, labels, and all clips in a row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from anyecg.data.clips import clips
from anyecg.data.loading.dataset import Item
from anyecg.data.store.store import digest
from anyecg.types import ECG_ID, END_ID, IGNORED_LABEL, START_ID, DataError, ECGBatch, ECGSample, InputSpec, Places


class Collator:
    """Builds an ECGBatch; knows the model only as plain integers and the chat format.

    chat: turns a conversation into pieces of token ids and ECG slots; places: positions that an ECG takes in the text
    (`model.places`); context: the longest sequence the LLM takes; generate: stop before the last answer and pad on the
    left; spec: what the encoder takes; pack: no padding, the samples' tokens stand one after the other, the shortest
    sample first; cut: whether a sample that is longer than `context` loses the end of its last answer, and with it the
    token that ends it, in place of being too long.
    """

    def __init__(
        self,
        chat,
        places: Places,
        context: int,
        generate: bool = False,
        spec: InputSpec = InputSpec(),  # noqa: B008
        pack: bool = False,
        cut: bool = False,
    ) -> None:
        self.chat, self.places, self.context, self.generate = chat, places, context, generate
        self.pack, self.cut = pack, cut
        self.none = clips(spec).blank(0)  # of a batch without ECGs

    def tokens(self, sample: ECGSample, clip_counts: Sequence[int]) -> tuple[list[int], list[int]]:
        """Token ids and labels of one sample, cut where it is to be; without clip counts, evidence text stands for each
        ECG.
        """
        ids, labels = self._all_tokens(sample, clip_counts)
        starts = [n for n in range(1, len(labels)) if labels[n] != IGNORED_LABEL == labels[n - 1]]  # of answers
        if self.cut and starts and starts[-1] < self.context:
            return ids[: self.context], labels[: self.context]
        return ids, labels

    def is_cut(self, sample: ECGSample, clip_counts: Sequence[int]) -> bool:
        """Whether the sample loses some of its last answer."""
        return len(self.tokens(sample, clip_counts)[0]) < len(self._all_tokens(sample, clip_counts)[0])

    def _all_tokens(self, sample: ECGSample, clip_counts: Sequence[int]) -> tuple[list[int], list[int]]:
        ids: list[int] = []
        labels: list[int] = []
        record = 0
        for piece in self.chat.segments(sample.conversation, for_generation=self.generate):
            if piece.ecg:
                if clip_counts:
                    inside = [ECG_ID] * self.places.inside(clip_counts[record])
                else:
                    inside = list(self.chat.text_ids(sample.evidence[record]))
                inside = [START_ID, *inside, END_ID] if self.places.markers else inside
                ids += inside
                labels += [IGNORED_LABEL] * len(inside)
                record += 1
            else:
                ids += piece.ids
                labels += piece.ids if piece.answer else [IGNORED_LABEL] * len(piece.ids)
        if record != len(sample.records):
            raise DataError(f"question {sample.id}: {len(sample.records)} ECGs for {record} places in its text")
        return ids, labels

    def measure(self, sample: ECGSample, clip_counts: Sequence[int]) -> tuple[int, int]:
        """How many tokens the sample takes, and how many of them are learned, without reading a signal."""
        ids, labels = self.tokens(sample, clip_counts)
        return len(ids), sum(label != IGNORED_LABEL for label in labels[1:])

    def length(self, sample: ECGSample, clip_counts: Sequence[int]) -> int:
        """How many tokens the sample takes, without reading a signal."""
        return len(self.tokens(sample, clip_counts)[0])

    @property
    def fingerprint(self) -> str:
        """Of everything that decides how many tokens a sample takes: tokenizer, chat template, tokens of an ECG."""
        tokenizer = self.chat.tokenizer
        words = tokenizer.backend_tokenizer.to_str() if tokenizer.is_fast else sorted(tokenizer.get_vocab().items())
        cut = self.context if self.cut else None
        return digest([type(tokenizer).__name__, words, self.chat.template, self.places, self.generate, cut])

    def __call__(self, items: Sequence[Item]) -> ECGBatch:
        rows = []
        for item in items:
            ids, labels = self.tokens(item.sample, [len(clips) for clips in item.clips])
            if len(ids) > self.context:
                raise DataError(
                    f"question {item.sample.id}: {len(ids)} tokens, the LLM's context holds {self.context}; "
                    "lower input.max_seconds or input.max_ecgs, or choose an LLM with a longer context"
                )
            if not self.generate and all(label == IGNORED_LABEL for label in labels):
                raise DataError(f"question {item.sample.id}: has no answer to learn from")
            rows.append((item, ids, labels))
        if self.pack:
            rows.sort(key=lambda row: len(row[1]))
            items = [item for item, _, _ in rows]
        lengths = tuple(len(ids) for _, ids, _ in rows)
        lines, width = (1, sum(lengths)) if self.pack else (len(rows), max(lengths))
        input_ids = torch.zeros(lines, width, dtype=torch.long)
        labels_out = torch.full((lines, width), IGNORED_LABEL)
        attention = torch.zeros(lines, width, dtype=torch.bool)
        at = 0
        for row, (_, ids, labels) in enumerate(rows):
            if self.pack:
                line, where, at = 0, slice(at, at + len(ids)), at + len(ids)
                labels = [IGNORED_LABEL, *labels[1:]]  # nothing before it in its own row
            else:
                line, where = row, slice(width - len(ids), None) if self.generate else slice(len(ids))
            input_ids[line, where] = torch.tensor(ids)
            labels_out[line, where] = torch.tensor(labels)
            attention[line, where] = True
        learned = labels_out[:, 1:] != IGNORED_LABEL
        sample, token = learned.nonzero(as_tuple=True)
        shown = [record for item in items for record in item.clips]
        clip_counts = tuple(tuple(len(record) for record in item.clips) for item in items)
        counts = [count for row in clip_counts for count in row]
        masks = [mask for item in items for mask in item.lead_masks]
        owner = torch.repeat_interleave(torch.arange(len(shown)), torch.tensor(counts, dtype=torch.long))
        lead_mask = torch.from_numpy(np.stack(masks)) if masks else torch.zeros(0, 12, dtype=torch.bool)
        return ECGBatch(
            clips=torch.from_numpy(np.concatenate(shown) if shown else self.none),
            lead_mask=lead_mask[owner],
            owner=owner,
            rows=torch.repeat_interleave(torch.tensor([len(row) for row in clip_counts], dtype=torch.long)),
            input_ids=input_ids,
            labels=labels_out,
            attention_mask=attention,
            places=(input_ids.flatten() == ECG_ID).nonzero()[:, 0],
            answers=sample * width + token,
            targets=labels_out[:, 1:][learned],
            learned=torch.tensor(len(sample)),
            passes=torch.tensor(1),
            ids=tuple(item.sample.id for item in items),
            clip_counts=clip_counts,
            lengths=lengths,
        )
