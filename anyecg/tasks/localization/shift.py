"""Localization over a window that is moved: the question, its truth, and whether an answer moved with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from anyecg.data.store.store import Stores
from anyecg.tasks.localization.build import Strip, answer_text, clipped, spans
from anyecg.tasks.localization.intervals import iou, union
from anyecg.types import ECGSample, Turn


def shifted(samples: Sequence[ECGSample], seconds: float, stores: Stores) -> dict[str, ECGSample]:
    """Id -> the question over a window of the same length that begins `seconds` later or, where the record ends before,
    earlier; questions whose class would come into the window or leave it are left out, so that positives stay positive.
    """
    strips = _strips({sample.records[0].record for sample in samples if sample.records}, stores)
    found = {}
    for sample in samples:
        strip = strips.get(sample.records[0].record) if sample.records else None
        moved = _moved(sample, strip, seconds) if strip is not None else None
        if moved is not None:
            found[sample.id] = moved
    return found


def _strips(records: set[str], stores: Stores) -> Mapping[str, Strip]:
    columns = ["id", "patient", "seconds", "annotation_times", "annotation_symbols"]
    return {
        record: Strip(record, patient, seconds, np.asarray(times, np.float64), np.asarray(symbols, object))
        for store in stores
        for record, patient, seconds, times, symbols in store.rows(columns)
        if record in records and times
    }


def _moved(sample: ECGSample, strip: Strip, seconds: float) -> ECGSample | None:
    window, length = sample.records[0], float(sample.meta["seconds"])
    start = next(
        (at for at in (window.start + seconds, window.start - seconds) if 0 <= at <= strip.seconds - length), None
    )
    if start is None or seconds >= length:
        return None
    start = round(start, 2)
    end = round(start + length, 2)
    where = spans(strip.times, strip.symbols, str(sample.meta["symbol"]), strip.seconds)
    intervals = clipped(where, start, end)
    if bool(intervals) != bool(sample.meta["intervals"]):
        return None
    answer = answer_text(str(sample.meta["name"]), intervals)
    return replace(
        sample,
        records=(replace(window, start=start, end=end),),
        conversation=(*sample.conversation[:-1], Turn("assistant", answer)),
        evidence=(strip.beats(start, end),),
        meta={**sample.meta, "intervals": [list(pair) for pair in intervals]},
    )


def followed(
    said: np.ndarray | None, then: np.ndarray | None, starts: tuple[float, float], seconds: float
) -> tuple[float, float]:
    """IoU of two answers, intervals `[k, 2]` in s from their windows' `starts`, in the record's time and in the
    windows' own, over the seconds that both windows show; both 0 where an answer cannot be read, NaN where neither says
    an interval in these seconds.
    """
    if said is None or then is None:
        return 0.0, 0.0
    begin, end = max(starts), min(starts) + seconds
    kept = [union(part + start - begin, end - begin) for part, start in zip((said, then), starts)]
    if not any(len(part) for part in kept):
        return float("nan"), float("nan")
    return iou(*kept), iou(said, then)
