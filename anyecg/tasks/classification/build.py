"""Classification of test records from the report a model writes (evaluation only), where their corpus names labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from anyecg.data.store.store import Stores
from anyecg.tasks.phrasings import CLASSIFICATION
from anyecg.tasks.report.build import report_text
from anyecg.types import MARKER, ECGSample, Turn, Window


def classification_questions(stores: Stores, dropped: Counter) -> Iterator[tuple[str, ECGSample]]:
    """("test", question) for each test record of a corpus whose info names labels; meta["labels"]: set -> true
    names.
    """
    for store in stores:
        info = store.summary["info"]
        if not info.get("labels"):
            continue
        for record, patient, split, seconds, statements, codes in store.rows(
            ["id", "patient", "split", "seconds", "statements", "labels"]
        ):
            if split != "test":
                continue
            labels = label_names(codes, info)
            if not any(labels.values()):
                dropped["classification", "record without a label"] += 1
                continue
            report = report_text(statements)
            yield (
                "test",
                ECGSample(
                    id=f"classification/{record}",
                    task="classification",
                    pool="classification",
                    subset=store.summary["corpus"],
                    patient=patient,
                    records=(Window(record, 0.0, seconds),),
                    conversation=(Turn("user", f"{MARKER}\n{CLASSIFICATION}"), Turn("assistant", f"Report: {report}")),
                    evidence=(report,),
                    meta={"labels": labels},
                ),
            )


def label_names(codes, info: Mapping) -> dict[str, list[str]]:
    """The names of a record's codes in each label set; a set with a map (`info["maps"]`) has the label that a code
    stands for.
    """
    return {
        group: sorted({names[key] for key in label_codes(codes, info, group)})
        for group, names in info["labels"].items()
    }


def label_codes(codes, info: Mapping, group: str) -> set[str]:
    """The codes of a label set that a record's codes stand for."""
    stands_for = info.get("maps", {}).get(group)
    keys = codes if stands_for is None else [stands_for[code] for code in codes if code in stands_for]
    return {key for key in keys if key in info["labels"][group]}


def label_statements(stores: Stores) -> dict[str, dict[str, dict[str, list[str]]]]:
    """corpus -> what its reports may say -> label set -> the names that this stands for, to read labels in a report."""
    found: dict[str, dict[str, dict[str, list[str]]]] = {}
    for store in stores:
        info = store.summary["info"]
        for code, statement in info.get("statements", {}).items():
            found.setdefault(store.summary["corpus"], {})[statement] = {
                group: names for group, names in label_names([code], info).items() if names
            }
    return found


def label_universe(stores: Stores) -> dict[str, dict[str, list[str]]]:
    """corpus -> label set -> the names of all its classes, for metrics to know those without a positive."""
    return {
        store.summary["corpus"]: {
            name: sorted(set(codes.values())) for name, codes in store.summary["info"]["labels"].items()
        }
        for store in stores
        if store.summary["info"].get("labels")
    }
