"""The training step against a plain implementation, both in one run; prints the ratio of samples a second.

Plain: one batch padded to its longest sample, each ECG encoded by itself, attention written out, all logits computed.
Ours: batches of like length, all clips through the encoder at once, SDPA, logits at answers only.

    python benchmarks/training_step.py [--llm smollm2] [--steps 36]
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from anyecg.connectors import connectors
from anyecg.data.collate import Collator
from anyecg.data.dataset import Item
from anyecg.data.mixture import batches
from anyecg.encoders import encoders
from anyecg.llms import llms
from anyecg.model import ECGLanguageModel
from anyecg.types import END_ID, IGNORED_LABEL, MARKER, START_ID, ECGSample, Turn, Window

BATCH = 8


def items(count: int) -> list[Item]:
    """A mixed batch's worth: half 10 s 12-lead reports, a third 10 s localization, a sixth 10-60 s or several ECGs."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(count):
        kind = i % 12
        clips = (1,) if kind < 10 else (int(rng.integers(2, 7)),) if kind == 10 else (1,) * int(rng.integers(2, 7))
        leads = 12 if kind < 6 or kind == 11 else 2
        answer = "Report: Sinus rhythm, Left axis deviation, Abnormal ECG" if kind < 6 else "Duration: 0.4s-3.7s, 4.6s-9.3s"
        text = "\n".join([MARKER] * len(clips)) + "\nPlease provide the report for the following ECG."
        sample = ECGSample(f"q{i}", "report", tuple(Window(f"r{j}") for j in range(len(clips))), (Turn("user", text), Turn("assistant", answer)))
        mask = np.arange(12) < leads
        signal = tuple((rng.uniform(-1, 1, (n, 12, 1000)) * mask[None, :, None]).astype(np.float32) for n in clips)
        made.append(Item(sample, signal, tuple(mask for _ in clips)))
    return made


def build(llm: str, size: str, attention: str) -> ECGLanguageModel:
    torch.manual_seed(0)
    eye = encoders["vit"](encoders["vit"].Config(size=size))
    kind = llms[llm]
    texts = [turn.text for item in items(24) for turn in item.sample.conversation]
    language = kind(kind.Config(), texts=lambda: texts, cache=Path("runs/cache"))
    language.lm.set_attn_implementation(attention)
    model = ECGLanguageModel(eye, connectors["mlp"](connectors["mlp"].Config(), eye.dim, language.dim), language)
    model.train_only(["encoder", "connector", "markers", "llm"])
    return model.train()


def plain_attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, **_):
    """Attention written out, in place of SDPA inside the encoder."""
    return torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5, -1) @ v


def plain_loss(model: ECGLanguageModel, batch) -> torch.Tensor:
    """The same loss the plain way: record by record, every logit."""
    embeds = model.llm.embed(batch.input_ids.clamp(min=0))
    embeds = torch.where((batch.input_ids == START_ID)[..., None], model.markers[0], embeds)
    embeds = torch.where((batch.input_ids == END_ID)[..., None], model.markers[1], embeds)
    tokens = []
    for record in range(int(batch.owner.max()) + 1):
        parts = [model.connector(model.encoder(batch.signal[n : n + 1], batch.lead_mask[n : n + 1]))[0] for n in torch.where(batch.owner == record)[0]]
        tokens += [torch.stack([part[:1] for part in parts]).mean(0), *(part[1:] for part in parts)]
    embeds = embeds.clone()
    embeds[batch.ecg_mask] = torch.cat(tokens)
    logits = model.llm.lm(inputs_embeds=embeds, attention_mask=batch.attention_mask.long(), use_cache=False).logits
    return F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), batch.labels[:, 1:].flatten(), ignore_index=IGNORED_LABEL)


def samples_a_second(model, made, plan, loss) -> tuple[float, float]:
    """(samples a second, loss of the first batch) over forward, backward and an optimizer step."""
    collate = Collator(model.llm.chat, model.prefix, model.patches, model.llm.context)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.0)
    first = None
    for warm in (True, False):
        began = time.perf_counter()
        for batch in plan[:1] if warm else plan:
            optimizer.zero_grad()
            value = loss(model, collate([made[i] for i in batch]))
            value.backward()
            optimizer.step()
            first = first if first is not None else value.item()
    return sum(map(len, plan)) / (time.perf_counter() - began), first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llm", default="tiny", choices=["tiny", "smollm2"])
    parser.add_argument("--size", default=None, help="ViT size; default: tiny for tiny, base for smollm2")
    parser.add_argument("--steps", type=int, default=36)
    options = parser.parse_args()
    size = options.size or ("tiny" if options.llm == "tiny" else "base")
    made = items(BATCH * options.steps)
    lengths = [sum(len(clip) for clip in item.clips) for item in made]
    rng = np.random.default_rng(0)
    model = build(options.llm, size, "sdpa")
    ours, _ = samples_a_second(model, made, batches(lengths, BATCH, rng), lambda model, batch: model(batch))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    model.llm.lm.set_attn_implementation("eager")
    sdpa, F.scaled_dot_product_attention = F.scaled_dot_product_attention, plain_attention
    order = rng.permutation(len(made))
    plain, _ = samples_a_second(model, made, [order[i : i + BATCH].tolist() for i in range(0, len(made), BATCH)], plain_loss)
    F.scaled_dot_product_attention = sdpa
    peak_plain = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"training step ({options.llm}, ViT-{size}, batch {BATCH}, mixed 10 s / long / several ECGs, float32, {torch.get_num_threads()} threads)")
    print(f"  plain {plain:8.2f} samples/s (peak {peak_plain:.1f} GiB)\n  ours  {ours:8.2f} samples/s (peak {peak:.1f} GiB)\n  ratio {ours / plain:8.2f}")


if __name__ == "__main__":
    main()
