"""The one place that sees encoder, connector and language model together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from anyecg.data.loading.collate import Collator
from anyecg.session import Dialogue, Reading
from anyecg.config.schema import GROUPS
from anyecg.llms.shards import gathered
from anyecg.checkpoints.load import open_folder
from anyecg.types import END_ID, START_ID, CheckpointError, ConfigError, DataError, ECGBatch, ECGRecord, Prediction


class ECGLanguageModel(nn.Module):
    """An ECG encoder, a connector and a language model; how ECGs and text meet (the paper's Figure 1).

    Every ECG stands in the text as <ECG_start>, one token for its [CLS] averaged over its clips, the patch tokens of
    its clips one after the other, <ECG_end>. The two markers are parameters of this model, not tokens of the LLM.
    """

    def __init__(self, encoder: nn.Module, connector: nn.Module, llm: nn.Module) -> None:
        super().__init__()
        if connector.enters != "tokens":
            raise ConfigError(f"connector: enters the LLM as '{connector.enters}'; this version fuses 'tokens' only")
        self.encoder, self.connector, self.llm = encoder, connector, llm
        self.prefix, self.patches = connector.tokens(encoder.prefix, encoder.patches)
        with gathered(llm.lm.get_input_embeddings().parameters()):
            scale = self.llm.embed(torch.arange(16)[None]).detach().float().std()
        self.markers = nn.Parameter(torch.randn(2, llm.dim) * scale)
        self.reading = Reading()

    @classmethod
    def from_pretrained(cls, folder: Path | str, llm: Mapping[str, Any] | None = None) -> ECGLanguageModel:
        """The model in a folder that `python -m anyecg.export` wrote, or in one of the released checkpoints; frozen, in eval mode.

        llm: settings of the LLM that are others here, such as `{"path": "/models/llama3"}`. CheckpointError or ConfigError
        names the file or key that is missing or does not fit (`anyecg.checkpoints.load.open_folder`).
        """
        parts = open_folder(folder, llm)
        model = cls(parts.encoder, parts.connector, parts.llm)
        if missing := sorted(model.part_state(GROUPS).keys() - parts.state.keys()):
            raise CheckpointError(f"{parts.source}: '{missing[0]}' is missing; is the file whole, and of these components?")
        model.load_part_state(parts.state, parts.source)
        model.reading = parts.reading
        return model.requires_grad_(False).eval()

    @torch.inference_mode()
    def ask(self, question: str, ecgs: Sequence[ECGRecord | Path | str] = (), history: Dialogue | None = None, max_new_tokens: int = 256) -> str:
        """The greedy answer to a question over ECGs of one's own: files that `read_ecg` reads, or records in mV.

        history: earlier turns, whose ECGs are not encoded again; this one is added. An `<ecg>` in the question is the place of
        an ECG; without any, they stand before it. DataError where an ECG cannot be read, or the dialogue is too long for the LLM's context.
        """
        history = Dialogue() if history is None else history
        item = history.question(question, ecgs, self.reading)
        collate = Collator(self.llm.chat, self.prefix, self.patches, self.llm.context - max_new_tokens, generate=True)
        batch = collate([item]).to(self.markers.device)
        self.eval()
        known, tokens = history.encoded
        shown = len(history.clips) if known is self else 0  # those shown before keep their tokens
        new = self.encode_records(item.clips[shown:], item.lead_masks[shown:])
        tokens = torch.cat([*([tokens] if shown else []), *new]) if shown or new else None
        text = self.answer(batch, max_new_tokens, tokens)[0].text
        history.answered(item, text, self, tokens)
        return text

    def ecg_tokens(self, signal: Tensor, lead_mask: Tensor, owner: Tensor) -> Tensor:
        """Tokens of all records, one after the other: `[sum(prefix + patches * S), d_llm]` for S clips a record.

        signal `[N, 12, 1000]`, lead_mask `[N, 12]`, owner `[N]` ascending. The encoder runs once over all N clips.
        (The buffer returned is as long as if no record had more than one clip; the rest of it is zeros.)
        """
        tokens = self.connector(self.encoder(signal, lead_mask))
        n, width, dim = tokens.shape
        first = torch.searchsorted(owner, owner)  # the first clip of each clip's record
        clips = torch.searchsorted(owner, owner, right=True) - first
        at_prefix = (self.prefix * owner + self.patches * first)[:, None] + torch.arange(self.prefix, device=owner.device)
        at_patches = (self.prefix * (owner + 1) + self.patches * torch.arange(n, device=owner.device))[:, None]
        at_patches = at_patches + torch.arange(self.patches, device=owner.device)
        merged = tokens.new_zeros(n * width, dim)
        average = tokens[:, : self.prefix] / clips[:, None, None].to(tokens.dtype)
        merged = merged.index_add(0, at_prefix.flatten(), average.reshape(-1, dim))
        return merged.index_copy(0, at_patches.flatten(), tokens[:, self.prefix :].reshape(-1, dim))

    def encode_records(self, clips: Sequence[np.ndarray], lead_masks: Sequence[np.ndarray]) -> list[Tensor]:
        """The tokens of each record, `[prefix + patches * S, d_llm]`, from its clips `[S, 12, 1000]` and lead mask `[12]`; one pass over all."""
        if not clips:
            return []
        counts = torch.tensor([len(part) for part in clips])
        signal, mask = torch.from_numpy(np.concatenate(clips)), torch.from_numpy(np.stack(lead_masks)).repeat_interleave(counts, 0)
        device = self.markers.device
        tokens = self.ecg_tokens(signal.to(device), mask.to(device), torch.repeat_interleave(counts).to(device))
        sizes = (self.prefix + self.patches * counts).tolist()
        return list(tokens[: sum(sizes)].split(sizes))

    def encode(self, batch: ECGBatch) -> Tensor:
        """The tokens of a batch's ECGs, in the order of its places: `[P, d_llm]`.

        Raises DataError for a batch whose places were counted for another model (on a CPU; elsewhere that would wait for the device).
        """
        n, places = len(batch.owner), len(batch.places)
        expected = self.prefix * (batch.owner[-1] + 1) + self.patches * n if n and batch.owner.device.type == "cpu" else places
        if n and places != expected:
            raise DataError(
                f"batch of {', '.join(batch.ids[:3])}: {places} places for ECG tokens, "
                f"{int(expected)} tokens from {n} clips; collate with this model's prefix and patches"
            )
        if not n:
            return self.markers.new_zeros(0, self.llm.dim)
        return self.ecg_tokens(batch.signal, batch.lead_mask, batch.owner)[:places]

    def embed(self, batch: ECGBatch, tokens: Tensor | None = None) -> Tensor:
        """Input embeddings `[B, T, d_llm]`: text from the LLM's table, ECG tokens and markers in their places.

        tokens: what `encode` gave for the same ECGs before, so that they are not encoded again.
        """
        tokens = self.encode(batch) if tokens is None else tokens
        embeds = self.llm.embed(batch.input_ids.clamp(min=0))
        markers = self.markers.to(embeds.dtype)
        embeds = torch.where((batch.input_ids == START_ID)[..., None], markers[0], embeds)
        embeds = torch.where((batch.input_ids == END_ID)[..., None], markers[1], embeds)
        if not len(batch.places):
            return embeds
        return embeds.flatten(0, 1).index_copy(0, batch.places, tokens.to(embeds.dtype)).view_as(embeds)

    def forward(self, batch: ECGBatch) -> Tensor:
        """Cross-entropy of a right-padded batch, summed over its answer tokens and divided by `batch.divisor` (as collated:
        their mean); no logit is computed anywhere else, and nothing waits for the device."""
        if not len(batch.answers):
            raise DataError(f"batch of {', '.join(batch.ids[:3])}: no answer token to learn from")
        embeds = self.embed(batch)
        with _about(batch):
            hidden = self.llm.hidden(embeds).flatten(0, 1).index_select(0, batch.answers)
        return self.llm.loss(hidden, batch.targets) / batch.divisor

    @torch.inference_mode()
    def answer(self, batch: ECGBatch, max_new_tokens: int = 256, tokens: Tensor | None = None) -> list[Prediction]:
        """Greedy answers to a left-padded batch of questions; tokens as in `embed`."""
        embeds = self.embed(batch, tokens)
        with _about(batch):
            texts = self.llm.generate(embeds, batch.attention_mask, max_new_tokens)
        return [Prediction(id, text) for id, text in zip(batch.ids, texts, strict=True)]

    def groups(self) -> dict[str, dict[str, nn.Parameter]]:
        """Group -> name -> parameter: what a stage's `trains` can name."""
        parts = {
            "encoder": self.encoder.named_parameters(),
            "connector": self.connector.named_parameters(),
            "llm": self.llm.tuned(),
            "llm_weights": self.llm.weights(),
        }
        groups = {group: {f"{group.removesuffix('_weights')}.{name}": p for name, p in part} for group, part in parts.items()}
        return groups | {"markers": {"markers": self.markers}}

    def train_only(self, names: Iterable[str]) -> dict[str, int]:
        """Let only these groups learn; returns group -> number of parameters."""
        groups = self.groups()
        unknown = [name for name in names if name not in groups]
        if unknown:
            raise ConfigError(f"trains: no group is called {', '.join(unknown)} (known: {', '.join(GROUPS)})")
        self.requires_grad_(False)
        for name in names:
            for parameter in groups[name].values():
                parameter.requires_grad_(True)
        return {name: sum(p.numel() for p in groups[name].values()) for name in names}

    def train(self, mode: bool = True) -> ECGLanguageModel:
        """Train mode only where something learns: a frozen part keeps its dropout off."""
        super().train(mode)
        for part in (self.encoder, self.connector, self.llm):
            if not any(p.requires_grad for p in part.parameters()):
                part.eval()
        return self

    def part_state(self, names: Iterable[str], state: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Tensors of the encoder, connector and markers among `names`: parameters and buffers; state: this model's, if it is elsewhere."""
        state = self.state_dict() if state is None else state
        wanted = [name for name in names if name in ("encoder", "connector", "markers")]
        return {key: value.detach().cpu().contiguous() for key, value in state.items() if key.split(".")[0] in wanted}

    def load_part_state(self, state: dict[str, Tensor], source: str) -> None:
        """Copy tensors of `part_state` in; CheckpointError names the first that does not fit."""
        own = self.state_dict()
        for key, value in state.items():
            if key not in own:
                raise CheckpointError(f"{source}: holds '{key}', which this model does not have; was it trained with other components?")
            if own[key].shape != value.shape:
                raise CheckpointError(f"{source}: '{key}' is {tuple(value.shape)}, this model needs {tuple(own[key].shape)}; check the sizes in the configuration")
        with torch.no_grad():
            for key, value in state.items():
                own[key].copy_(value)


@contextlib.contextmanager
def _about(batch: ECGBatch) -> Iterator[None]:
    """A DataError of the LLM, which knows no questions, told with the longest of the batch."""
    try:
        yield
    except DataError as error:
        raise DataError(f"question {batch.ids[int(batch.attention_mask.sum(1).argmax())]}: {error}") from error
