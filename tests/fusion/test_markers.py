"""The two vectors around an ECG."""

import pytest
import torch

from tests.conftest import fuse, make_model


def test_markers_are_as_large_as_the_text_and_not_as_its_special_tokens():
    """SmolLM2's first 17 ids are special tokens, many of which no text uses."""
    model = make_model()
    table = model.llm.lm.get_input_embeddings().weight
    with torch.no_grad():
        table[:17] *= 100
        table[17:] = torch.randn_like(table[17:]) * 0.05
        table[17:] += 3.0  # what all embeddings have in common is not their scale
    markers = fuse(model.encoder, model.connector, model.llm).markers
    of_all = table.detach().std(dim=1).mean().item()
    assert model.llm.embedding_scale().item() == pytest.approx(of_all, rel=1e-5)
    torch.manual_seed(0)
    scale = (
        torch.stack([fuse(model.encoder, model.connector, model.llm).markers.detach() for _ in range(20)]).std().item()
    )
    assert scale == pytest.approx(of_all, rel=0.1) and markers.shape == (2, model.llm.dim)
