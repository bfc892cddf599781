"""What every fusion promises to the model: the text's positions, the loss path, generation, parameters."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from anyecg.types import END_ID, START_ID, Beside, ECGBatch, Places, Watch


class Fusion(nn.Module):
    """How ECGs reach the LLM. A subclass has a frozen dataclass `Config`, built as `Fusion(cfg, llm, record, clip)`.

    It owns: the positions that an ECG takes in the text (`places`), what stands there (`embed`), what the LLM's layers
    get beside the text (`beside`), and its parameters (`groups`). `forward` (training) and `generate` follow from
    these, with the LLM's cache, rows that are dropped once they have ended, and left padding; a fusion rarely overrides
    them.

    The LLM is passed to each method and is not a submodule: what is here is saved under `fusion.`, apart from the LLM.
    A fusion that adds something to the LLM's layers does so in its constructor by torch's hooks or a registered
    attention function, and is inert outside `beside`, so that the LLM alone stays the library's. Where layers are
    recomputed in the backward pass (gradient checkpointing), `beside` has ended: a layer gets its ECG tensors as
    arguments, by keyword or by a hook outside the recomputed part. In later turns the connector's tokens of earlier
    ECGs are given again and the text is read from its beginning, so a fusion keeps no state between calls.

    enters: the kind of connector output that it takes (`Connector.enters`); marked: whether an ECG has a start and an
    end marker in the text, two learned vectors of this module.
    """

    enters: ClassVar[str] = "tokens"
    marked: ClassVar[bool] = True

    def __init__(self, cfg: Any, llm: Any, record: int, clip: int) -> None:
        """llm: the `LanguageModel`, whose width and scale of embeddings the markers take; record, clip: what
        `Connector.tokens` says.
        """
        super().__init__()
        self.places = self.places_of(cfg, record, clip)
        self.markers = nn.Parameter(torch.randn(2, llm.dim) * llm.embedding_scale()) if self.marked else None

    @classmethod
    def places_of(cls, cfg: Any, record: int, clip: int) -> Places:
        """Positions of an ECG in the text, for a connector that gives `record` tokens and `clip` more a clip. Here:
        none but the markers.
        """
        return Places(0, 0, cls.marked)

    def embed(self, llm: Any, batch: ECGBatch, tokens: Tensor) -> Tensor:
        """Input embeddings `[B, T, d_llm]`: text from the LLM's table, the markers; tokens: the connector's, of all
        records of the batch.
        """
        embeds = llm.embed(batch.input_ids.clamp(min=0))
        if self.markers is None:
            return embeds
        markers = self.markers.to(embeds.dtype)
        embeds = torch.where((batch.input_ids == START_ID)[..., None], markers[0], embeds)
        return torch.where((batch.input_ids == END_ID)[..., None], markers[1], embeds)

    @contextlib.contextmanager
    def beside(self, llm: Any, batch: ECGBatch, tokens: Tensor) -> Iterator[Beside | None]:
        """Within it, the LLM's layers see the batch's ECGs beside the text. Yields a `Beside`, or None. Here:
        nothing.
        """
        yield None

    def forward(self, llm: Any, batch: ECGBatch, tokens: Tensor) -> Tensor:
        """Last hidden states `[B, T, d]` of a right-padded batch, `[1, P, d]` of a packed one; tokens as in `embed`.
        Nothing waits for the device.
        """
        embeds = self.embed(llm, batch, tokens)
        if batch.packed:  # by a fusion that brings nothing in beside the text
            return llm.hidden_of_packed(embeds, batch.lengths)
        with self.beside(llm, batch, tokens) as beside:
            return llm.hidden(embeds, beside=beside)

    def generate(
        self, llm: Any, batch: ECGBatch, tokens: Tensor, max_new_tokens: int, watch: Watch | None = None
    ) -> list[str]:
        """B greedy answers to a left-padded batch of questions; tokens as in `embed`, watch as in the LLM's."""
        embeds = self.embed(llm, batch, tokens)
        with self.beside(llm, batch, tokens) as beside:
            return llm.generate(embeds, batch.attention_mask, max_new_tokens, beside, watch)

    def groups(self) -> dict[str, dict[str, nn.Parameter]]:
        """Group -> name -> parameter, of the two groups that are a fusion's: "markers" and "fusion" (all others);
        either may be empty.
        """
        named = dict(self.named_parameters())
        markers = {name: named.pop(name) for name in ("markers",) if name in named}
        return {"markers": markers, "fusion": named}
