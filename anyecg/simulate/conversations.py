"""Writes the released layouts of conversations about a corpus: ECGInstruct's JSON and ECGBench's parquet."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

# one white pixel, in the place of a page
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP6DwABBQECz6AuzQAAAABJRU5ErkJggg==")
ONLY = "Only answer based on the given options without any explanation."


def instruct_row(root: str, record: str, number: int, turns: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """A row of `ECGInstruct.json`: turns of (question, answer) about a page of a record."""
    spoken = []
    for place, (asked, answer) in enumerate(turns):
        spoken.append({"from": "human", "value": f"<image>\n{asked}" if not place else asked})
        spoken.append({"from": "gpt", "value": answer})
    return {"id": f"{root}-{record}-{number}", "image": f"{root}/{record}-0.png", "conversations": spoken}


def write_instruct(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """ECGInstruct's file: one JSON list."""
    path.write_text(json.dumps(list(rows), indent=1), encoding="utf-8")


def write_bench(folder: Path, config: str, rows: Iterable[dict[str, Any]]) -> None:
    """A configuration of ECGBench, `CONFIG/test-00000-of-00001.parquet`: rows as `instruct_row` makes them, their page
    inside.
    """
    (folder / config).mkdir(parents=True, exist_ok=True)
    made = [
        {
            "id": row["id"],
            "image_path": row["image"],
            "image": {"bytes": PIXEL, "path": row["image"]},
            "conversations": row["conversations"],
        }
        for row in rows
    ]
    pq.write_table(pa.Table.from_pylist(made), folder / config / "test-00000-of-00001.parquet")


def labels_row(root: str, record: str, shown: dict[str, str], held: Sequence[str]) -> dict[str, Any]:
    """A close-ended question for all labels of a list, as ECGBench's CPSC2018 and CODE-15% have it."""
    listed = ", ".join(f"{code}({name})" for code, name in shown.items())
    asked = f"Examine the ECG and name all fitting options with semicolons: {listed}. {ONLY}"
    return instruct_row(root, record, 0, [(asked, "; ".join(f"{code}({shown[code]})" for code in held))])


def letters_row(root: str, record: str, options: Sequence[str], right: int) -> dict[str, Any]:
    """A question with lettered options, as ECGBench's CSN and G12EC have it."""
    listed = "\n".join(f"{chr(65 + place)}. {option}" for place, option in enumerate(options))
    asked = f"Which of these options describes the ECG?\n{listed}"
    return instruct_row(root, record, 0, [(asked, f"{chr(65 + right)}. {options[right]}")])


def set_row(root: str, record: str, question: str, options: Sequence[str], held: Sequence[str]) -> dict[str, Any]:
    """A question of ECG-QA with its options; its answer is a list of texts, as ECGBench's `ecgqa-test` has it."""
    row = instruct_row(root, record, 0, [(f"{question} Options: {', '.join(options)}. {ONLY}", "")])
    return {**row, "conversations": [{**turn, "value": [turn["value"]]} for turn in row["conversations"][:1]]
            + [{"from": "gpt", "value": list(held)}]}  # fmt: skip


def drawn(
    records: Sequence[str], seed: int, row: Callable[[str, random.Random], dict[str, Any]]
) -> list[dict[str, Any]]:
    """A row for each record, in random order, as a released file has them."""
    rng = random.Random(seed)
    return [row(record, rng) for record in rng.sample(list(records), len(records))]
