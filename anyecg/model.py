"""The one place that sees encoder, connector, fusion and language model together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from anyecg.config.schema import GROUPS
from anyecg.types import CheckpointError, ConfigError, DataError, ECGBatch, Places, Prediction, Watch

PARTS = ("encoder", "connector", "fusion")  # submodules that are saved together; the LLM saves itself


class ECGLanguageModel(nn.Module):
    """An ECG encoder, a connector, a fusion and a language model (the paper's Figure 1).

    encoder: clips to tokens; connector: tokens of a record; fusion: how these reach the LLM. places: positions that an
    ECG takes in the text, for a `Collator`. ConfigError where the fusion does not take what the connector gives.
    """

    def __init__(self, encoder: nn.Module, connector: nn.Module, fusion: nn.Module, llm: nn.Module) -> None:
        super().__init__()
        if connector.enters != fusion.enters:
            raise ConfigError(
                f"connector: gives '{connector.enters}', the fusion takes '{fusion.enters}'; choose another connector "
                f"or fusion"
            )
        self.encoder, self.connector, self.fusion, self.llm = encoder, connector, fusion, llm

    @property
    def places(self) -> Places:
        return self.fusion.places

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def ecg_tokens(self, clips: Tensor, lead_mask: Tensor, owner: Tensor, counts: Sequence[int]) -> Tensor:
        """Tokens of all records, one after the other: `[sum(a + b * S), d]` for S clips a record and (a, b) =
        `connector.tokens`.

        clips `[N, *encoder.input.shape]`, lead_mask `[N, 12]`, owner `[N]` ascending, counts: clips of each record, on
        the host. The encoder runs once over all N clips.
        """
        return self.connector.records(self.encoder(clips, lead_mask), self.encoder.prefix, owner, counts)

    def encode_records(self, clips: Sequence[np.ndarray], lead_masks: Sequence[np.ndarray]) -> list[Tensor]:
        """The tokens of each record, `[a + b * S, d]` as in `ecg_tokens`, from its clips `[S, *shape]` and lead mask
        `[12]`; one pass over all.
        """
        if not clips:
            return []
        counts = [len(part) for part in clips]
        owner = torch.repeat_interleave(torch.tensor(counts))
        shown, mask = torch.from_numpy(np.concatenate(clips)), torch.from_numpy(np.stack(lead_masks))[owner]
        tokens = self.ecg_tokens(shown.to(self.device), mask.to(self.device), owner.to(self.device), counts)
        record, clip = self.connector.tokens(self.encoder.prefix, self.encoder.patches)
        return list(tokens.split([record + clip * count for count in counts]))

    def no_tokens(self) -> Tensor:
        """The tokens of no record: `[0, d]`."""
        return torch.zeros(0, self.llm.dim, device=self.device)

    def encode(self, batch: ECGBatch) -> Tensor:
        """The tokens of a batch's ECGs, one record after the other; DataError for a batch that was collated for
        another model.
        """
        counts = [count for row in batch.clip_counts for count in row]
        places = sum(self.places.inside(count) for count in counts)
        if len(batch.places) != places or len(batch.owner) != sum(counts) or len(batch.clips) != sum(counts):
            raise DataError(
                f"batch of {', '.join(batch.ids[:3])}: {len(batch.places)} places for ECG tokens, {places} are needed "
                f"for {len(batch.clips)} clips "
                f"({sum(counts)} counted); collate with this model's places"
            )
        return self.ecg_tokens(batch.clips, batch.lead_mask, batch.owner, counts) if counts else self.no_tokens()

    def embed(self, batch: ECGBatch, tokens: Tensor | None = None) -> Tensor:
        """Input embeddings `[B, T, d_llm]`; tokens: what `encode` gave for the same ECGs before, so that they are
        not encoded again.
        """
        return self.fusion.embed(self.llm, batch, self.encode(batch) if tokens is None else tokens)

    def forward(self, batch: ECGBatch) -> Tensor:
        """Cross-entropy of a right-padded or packed batch, summed over its answer tokens and divided by
        `batch.divisor` (as collated: their mean); no logit is computed anywhere else, and nothing waits for the
        device."""
        if not len(batch.answers):
            raise DataError(f"batch of {', '.join(batch.ids[:3])}: no answer token to learn from")
        tokens = self.encode(batch)
        with _naming_the_longest(batch):
            hidden = self.fusion(self.llm, batch, tokens).flatten(0, 1).index_select(0, batch.answers)
        return self.llm.loss(hidden, batch.targets) / batch.divisor

    @torch.inference_mode()
    def answer(
        self, batch: ECGBatch, max_new_tokens: int = 256, tokens: Tensor | None = None, watch: Watch | None = None
    ) -> list[Prediction]:
        """Greedy answers to a left-padded batch of questions; tokens as in `embed`; watch: gets the texts so far after
        each token, and ends them there where it returns True.
        """
        tokens = self.encode(batch) if tokens is None else tokens
        with _naming_the_longest(batch):
            texts = self.fusion.generate(self.llm, batch, tokens, max_new_tokens, watch)
        return [Prediction(id, text) for id, text in zip(batch.ids, texts, strict=True)]

    def groups(self) -> dict[str, dict[str, nn.Parameter]]:
        """Group -> name -> parameter: what a stage's `trains` can name. A group may be empty: a fusion need not have
        parameters.
        """
        parts = {
            "encoder": ("encoder", dict(self.encoder.named_parameters())),
            "connector": ("connector", dict(self.connector.named_parameters())),
            **{group: ("fusion", named) for group, named in self.fusion.groups().items()},
            "llm": ("llm", dict(self.llm.tuned())),
            "llm_weights": ("llm", dict(self.llm.weights())),
        }
        return {
            group: {f"{part}.{name}": parameter for name, parameter in named.items()}
            for group, (part, named) in parts.items()
        }

    def train_only(self, names: Iterable[str]) -> dict[str, int]:
        """Let only these groups learn; returns group -> number of parameters, of those that have any. ConfigError
        where none has.
        """
        groups, names = self.groups(), list(names)
        unknown = [name for name in names if name not in groups]
        if unknown:
            raise ConfigError(f"trains: no group is called {', '.join(unknown)} (known: {', '.join(GROUPS)})")
        self.requires_grad_(False)
        for name in names:
            for parameter in groups[name].values():
                parameter.requires_grad_(True)
        return {name: sum(p.numel() for p in groups[name].values()) for name in names if groups[name]}

    def train(self, mode: bool = True) -> ECGLanguageModel:
        """Train mode only where something learns: a frozen part keeps its dropout off."""
        super().train(mode)
        for part in (self.encoder, self.connector, self.fusion, self.llm):
            if not any(p.requires_grad for p in part.parameters()):
                part.eval()
        return self

    def part_state(self, names: Iterable[str], state: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Tensors of the groups `names` that are not the LLM's: parameters, and buffers of these parts; state: this
        model's, if it is elsewhere.
        """
        state = self.state_dict() if state is None else state
        markers = {f"fusion.{name}" for name in self.fusion.groups()["markers"]}

        def group(key: str) -> str:
            return "markers" if key in markers else key.split(".")[0]

        wanted = {name for name in names if name in (*PARTS, "markers")}
        return {key: value.detach().cpu().contiguous() for key, value in state.items() if group(key) in wanted}

    def load_part_state(self, state: Mapping[str, Tensor], source: str) -> None:
        """Copy tensors of `part_state` in; CheckpointError names the first that does not fit."""
        own = self.state_dict()
        for key, value in state.items():
            if key not in own:
                raise CheckpointError(
                    f"{source}: holds '{key}', which this model does not have; was it trained with other components?"
                )
            if own[key].shape != value.shape:
                raise CheckpointError(
                    f"{source}: '{key}' is {tuple(value.shape)}, this model needs {tuple(own[key].shape)}; check the "
                    f"sizes in the configuration"
                )
        with torch.no_grad():
            for key, value in state.items():
                own[key].copy_(value)


@contextlib.contextmanager
def _naming_the_longest(batch: ECGBatch) -> Iterator[None]:
    """A DataError of the LLM, which knows no questions, names the longest of the batch."""
    try:
        yield
    except DataError as error:
        longest = max(zip(batch.lengths, batch.ids, strict=True))[1]
        raise DataError(f"question {longest}: {error}") from error
