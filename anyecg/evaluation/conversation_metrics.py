"""How conversations went, turn by turn: counts, the accuracy of the follow-ups with a known answer, and what the ECG
adds to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from anyecg.evaluation.bootstrap import FEWEST, paired_interval
from anyecg.evaluation.controls import SIGNAL
from anyecg.evaluation.tables import MISSING, Grid, number, with_interval
from anyecg.plots.views import label
from anyecg.tasks.ecg_qa.parser import plain


def summary(rows: Mapping[str, pd.DataFrame], bootstrap: int, seed: int) -> dict[str, Any]:
    """A script's part of `conversations.json`.

    rows: view -> a row a turn of each conversation, the same ones in each view: id, patient, turn (from 1), question,
    answer, and truth, "yes", "no" or "" where none is known.
    """
    rows = {view: part.assign(said=part["answer"].map(yes_or_no)) for view, part in rows.items()}
    first = next(iter(rows.values()))
    found: dict[str, Any] = {
        "n": first["id"].nunique(),
        "n_patients": first["patient"].nunique(),
        "views": {},
        "differences": {},
    }
    for view, part in rows.items():
        told = ["question", "answer", "truth"]
        held = [{"id": id, "turns": turns[told].to_dict("records")} for id, turns in part.groupby("id", sort=False)]
        found["views"][view] = {"turns": [_turn(turn) for _, turn in part.groupby("turn")], "conversations": held}
        if view != SIGNAL and SIGNAL in rows and bootstrap and found["n_patients"] >= FEWEST:
            found["differences"][view] = _differences(rows[SIGNAL], part, bootstrap, seed)
    return found


def yes_or_no(text: str) -> str:
    """What an answer begins with, "yes" or "no"; "" where with neither."""
    first = plain(text).split(",")[0].split(" ")[0].strip(".!:;")
    return first if first in ("yes", "no") else ""


def grid(report: Mapping[str, Any]) -> Grid:
    """`conversations.json` as a table, a row a turn of each script."""
    views = list(next(iter(report["scripts"].values()))["views"])
    rows = []
    for name, script in report["scripts"].items():
        for place in range(len(script["views"][views[0]]["turns"])):
            turns = {view: script["views"][view]["turns"][place] for view in views}
            changes = [
                script["differences"].get(view, {}).get(str(place + 1), [None]) for view in views if view != SIGNAL
            ]
            rows.append([
                f"{name}, turn {place + 1}", str(turns[views[0]]["n"]), str(turns[views[0]]["yes_no"]),
                *(number(turns[view].get("accuracy")) for view in views),
                *(with_interval(value, ends, sign=True) for value, *ends in changes),
                *(" / ".join(str(turns[view].get(count, MISSING)) for view in views) for count in ("unread", "empty")),
            ])  # fmt: skip
    header = [
        "",
        "answers",
        "yes/no",
        *(f"accuracy {label(view)}" for view in views),
        *("ECG − this [95 %]" for view in views if view != SIGNAL),
        "unread",
        "empty",
    ]
    notes = [
        f"each turn is asked with the model's own answers before it; unread, empty: "
        f"{' / '.join(label(view) for view in views)}"
    ]
    return Grid("Conversations: follow-up questions", header, rows, notes)


def _turn(rows: pd.DataFrame) -> dict[str, Any]:
    checked = rows[rows["truth"] != ""]
    turn = {"n": len(rows), "empty": int((rows["answer"].str.strip() == "").sum()), "yes_no": len(checked)}
    if len(checked):
        turn |= {
            "unread": int((checked["said"] == "").sum()),
            "accuracy": round(float((checked["said"] == checked["truth"]).mean()), 6),
        }
    return turn


def _differences(signal: pd.DataFrame, other: pd.DataFrame, bootstrap: int, seed: int) -> dict[str, list[float]]:
    """Turn -> what the accuracy loses in another view, and the ends of its interval by patient."""
    found = {}
    for turn in signal.loc[signal["truth"] != "", "turn"].unique().tolist():
        parts = [rows[(rows["turn"] == turn) & (rows["truth"] != "")] for rows in (signal, other)]
        parts = [part.assign(right=part["said"] == part["truth"])[["id", "patient", "right"]] for part in parts]
        if parts[0]["patient"].nunique() >= FEWEST:
            change = paired_interval(
                *parts, lambda rows: {"accuracy": float(rows["right"].to_numpy().mean())}, n=bootstrap, seed=seed
            )["accuracy"]
            found[str(turn)] = [round(value, 6) for value in change]
    return found
