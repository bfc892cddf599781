"""Mixtures of questions that a benchmark can make at once: the shares and shapes are the recipe's, the signals
noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from anyecg.connectors import connectors
from anyecg.data.loading.dataset import Item
from anyecg.encoders import encoders
from anyecg.fusion import fusions
from anyecg.llms import llms
from anyecg.llms.lora import LoRAConfig
from anyecg.model import ECGLanguageModel
from anyecg.types import MARKER, ECGSample, Turn, Window

STATEMENTS = (
    "Sinus rhythm",
    "Sinus bradycardia",
    "Left axis deviation",
    "Left ventricular hypertrophy",
    "Right bundle branch block",
    "Normal ECG",
    "Nonspecific ST-T changes",
    "Abnormal ECG",
    "Premature ventricular contraction",
    "Prolonged QT interval",
    "Possible inferior infarct - age undetermined",
)
EVERY = 48  # questions with exactly a mixture's shares
MIXTURES = {  # kind -> parts of EVERY
    "stage2": {
        "report": 24,
        "short": 16,
        "long": 8,
    },  # half 10 s reports, a third 10 s localization, a sixth over 10 to 60 s
    "mixed": {"report": 12, "short": 12, "long": 12, "multi": 12},  # and two to six ECGs in a question
}


def items(
    count: int, seed: int = 0, mixture: str = "stage2", parts: Mapping[str, int] | None = None
) -> list[Item]:
    """Questions of a mixture (or of `parts` of EVERY) in random order: reports of 12 leads over 10 s, localizations of
    two leads over 10 s ("short") or 10 to 60 s ("long"), questions over two to six ECGs of 12 leads ("multi")."""
    rng = np.random.default_rng(seed)
    parts = parts or MIXTURES[mixture]
    kinds = [kind for kind, part in parts.items() for _ in range(part * count // EVERY)]
    kinds += ["report"] * (count - len(kinds))
    return [_item(f"q{number}", kind, rng) for number, kind in enumerate(rng.permutation(kinds).tolist())]


def _item(id: str, kind: str, rng: np.random.Generator) -> Item:
    seconds = float(rng.uniform(10, 60)) if kind == "long" else 10.0
    clips, leads = max(1, int(np.ceil(seconds / 10))), 2 if kind in ("short", "long") else 12
    ecgs = int(rng.integers(2, 7)) if kind == "multi" else 1
    if kind == "report":
        question, answer = (
            "Please provide the report for the following ECG.",
            "Report: " + ", ".join(rng.choice(STATEMENTS, rng.integers(2, 6), replace=False)),
        )
    elif kind == "multi":
        question = "Which of these ECGs is the first to show left ventricular hypertrophy, and what has changed since?"
        answer = f"ECG {rng.integers(1, ecgs + 1)}. New: {rng.choice(STATEMENTS)}."
    else:
        name = "Premature ventricular contraction"
        question = f"Please identify all the time points where {name} is located in the ECG."
        edges = np.sort(rng.uniform(0, seconds, 2 * int(rng.integers(1, 2 + seconds // 10))))
        times = ", ".join(f"{a:.1f}s-{b:.1f}s" for a, b in edges.reshape(-1, 2))
        answer = f"Duration: {times}" if rng.random() < 0.7 else f"No {name} Found"
    places = "\n".join(f"ECG {number + 1}: {MARKER}" for number in range(ecgs)) if ecgs > 1 else MARKER
    records = tuple(Window(f"{id}/{number}") for number in range(ecgs))
    sample = ECGSample(id, kind, records, (Turn("user", f"{places}\n{question}"), Turn("assistant", answer)))
    mask = np.arange(12) < leads
    signals = tuple(
        (rng.uniform(-1, 1, (clips, 12, 1000)) * mask[None, :, None]).astype(np.float32) for _ in range(ecgs)
    )
    return Item(sample, signals, (mask,) * ecgs)


def build(llm: str, size: str, attention: str = "sdpa", cache: Path | None = None) -> ECGLanguageModel:
    """ViT of a size, the paper's connector, an LLM with LoRA; no dropout, so that two sides can be held against each
    other.
    """
    torch.manual_seed(0)
    encoder = encoders["vit"](encoders["vit"].Config(size=size, dropout=0.0))
    kind = llms[llm]
    texts = [turn.text for item in items(EVERY) for turn in item.sample.conversation]
    language = kind(kind.Config(lora=LoRAConfig(dropout=0.0)), texts=lambda: texts, cache=cache)
    language.lm.set_attn_implementation(attention)
    connector = connectors["mlp"](connectors["mlp"].Config(), encoder.dim, language.dim)
    fusion = fusions["tokens"](fusions["tokens"].Config(), language, *connector.tokens(encoder.prefix, encoder.patches))
    model = ECGLanguageModel(encoder, connector, fusion, language)
    model.train_only(["encoder", "connector", "markers", "llm"])
    return model.train()
