"""What answerers that learn share: questions as a view shows them, a short descent, and weights kept under a key."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from anyecg.config.fingerprint import fingerprint
from anyecg.config.schema import InputConfig
from anyecg.data.loading.dataset import QuestionDataset
from anyecg.data.store.shards import locked
from anyecg.data.store.store import Stores
from anyecg.files import atomic_write
from anyecg.types import ECGSample, InputSpec

log = logging.getLogger(__name__)

WEIGHTS, FACTS = "weights.safetensors", "facts.json"  # in a kept folder; the second is written last
WARMUP = 0.1  # share of the steps before the cosine


def view_of(
    samples: Sequence[ECGSample], view: str, stores: Stores, limits: InputConfig, spec: InputSpec, seed: int = 0
) -> QuestionDataset:
    """Questions, as a view of the evaluation puts them, with what it shows in place of their recordings."""
    return QuestionDataset(samples, range(len(samples)), stores, limits, view, seed, spec)


def learn_once(module: nn.Module, cache: str | Path, name: str, key: str, learn: Callable[[], Mapping]) -> dict:
    """Weights of `module` and facts (such as thresholds) found in `cache/answerers/NAME-KEY`, or learnt and kept there.

    learn: leaves the module with its weights and returns the facts, plain values; of two runs at once the second waits.
    The module is left in evaluation mode, without gradients.
    """
    folder = Path(cache) / "answerers" / f"{name}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        if (folder / FACTS).exists():
            log.info("%s: reused from %s", name, folder)
            module.load_state_dict(load_file(folder / WEIGHTS))
        else:
            facts = dict(learn())
            with atomic_write(folder / WEIGHTS) as part:
                save_file({k: v.contiguous() for k, v in module.state_dict().items()}, part)
            with atomic_write(folder / FACTS) as part:
                part.write_text(json.dumps(facts, indent=1, sort_keys=True))
    module.requires_grad_(False).eval()
    return json.loads((folder / FACTS).read_text())


def descend(module: nn.Module, losses: Iterable[Tensor], steps: int, lr: float, weight_decay: float = 0.01) -> float:
    """AdamW over `steps` losses with warm-up and cosine; each loss is computed when it is asked for.

    Returns the mean loss of the last tenth.
    """
    learning = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=lr, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, pct_start=WARMUP)
    seen: list[float] = []
    for step, loss in zip(range(steps), losses):
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        schedule.step()
        seen.append(loss.item())
        if (step + 1) % max(1, steps // 10) == 0:
            log.info("step %d of %d: loss %.4f", step + 1, steps, float(np.mean(seen[-max(1, steps // 10) :])))
    return float(np.mean(seen[-max(1, steps // 10) :]))


def visits(count: int, batch: int, steps: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Positions of `steps` batches over `count` things: every one once a pass, in a new order each time."""
    order = np.empty(0, np.int64)
    for _ in range(steps):
        while len(order) < batch:
            order = np.concatenate([order, rng.permutation(count)])
        yield order[:batch]
        order = order[batch:]


def seed_of(*parts: Any) -> int:
    """A seed for torch from plain values."""
    return int(fingerprint(*parts, length=8), 16)
