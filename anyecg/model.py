"""The one place that sees encoder, connector and language model together."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anyecg.types import END_ID, IGNORED_LABEL, START_ID, CheckpointError, ConfigError, DataError, ECGBatch, Prediction

GROUPS = ("encoder", "connector", "markers", "llm", "llm_weights")


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
        scale = self.llm.embed(torch.arange(16)[None]).detach().float().std().item()
        self.markers = nn.Parameter(torch.randn(2, llm.dim) * scale)

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

    def embed(self, batch: ECGBatch) -> Tensor:
        """Input embeddings `[B, T, d_llm]`: text from the LLM's table, ECG tokens and markers in their places."""
        embeds = self.llm.embed(batch.input_ids.clamp(min=0))
        markers = self.markers.to(embeds.dtype)
        embeds = torch.where((batch.input_ids == START_ID)[..., None], markers[0], embeds)
        embeds = torch.where((batch.input_ids == END_ID)[..., None], markers[1], embeds)
        n = len(batch.owner)
        expected = self.prefix * (batch.owner[-1] + 1) + self.patches * n if n else 0
        if batch.ecg_mask.device.type == "cpu" and batch.ecg_mask.sum() != expected:
            raise DataError(
                f"batch of {', '.join(batch.ids[:3])}: {int(batch.ecg_mask.sum())} places for ECG tokens, "
                f"{int(expected)} tokens from {n} clips; collate with this model's prefix and patches"
            )
        if n:
            tokens = self.ecg_tokens(batch.signal, batch.lead_mask, batch.owner).to(embeds.dtype)
            embeds = embeds.masked_scatter(batch.ecg_mask[..., None], tokens)
        return embeds

    def forward(self, batch: ECGBatch) -> Tensor:
        """Mean cross-entropy over the answer tokens of a right-padded batch; no logit is computed anywhere else."""
        hidden = self.llm.hidden(self.embed(batch))
        answered = batch.labels[:, 1:] != IGNORED_LABEL
        if batch.labels.device.type == "cpu" and not answered.any():
            raise DataError(f"batch of {', '.join(batch.ids[:3])}: no answer token to learn from")
        logits = self.llm.head(hidden[:, :-1][answered])
        return F.cross_entropy(logits.float(), batch.labels[:, 1:][answered])

    @torch.inference_mode()
    def answer(self, batch: ECGBatch, max_new_tokens: int = 256) -> list[Prediction]:
        """Greedy answers to a left-padded batch of questions."""
        texts = self.llm.generate(self.embed(batch), batch.attention_mask, max_new_tokens)
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

    def part_state(self, names: Iterable[str]) -> dict[str, Tensor]:
        """Tensors of the encoder, connector and markers among `names`: parameters and buffers."""
        state = self.state_dict()
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
