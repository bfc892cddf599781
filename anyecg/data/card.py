"""The card of a built dataset: sources, rules, counts, checksums, for people to read (`README.md` of the dataset)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version

RULES = """
- **report**: a record's machine statements, cleaned (cart warnings and empty lines dropped, "EKG" written ECG, no trailing stops) and joined by commas; one question an ECG.
- **localization**: a labelled beat spans from the annotation before it to the one after it, clipped to the window, neighbours merged, one decimal; `No <name> Found` where there is none. Short windows last 10 s, long ones 10 to 60 s. As many negatives as positives of each class in each split, unless told otherwise.
- **multi_ecg**: two to six ECGs of one patient in order of time, with dates; answers by rule from the findings that the reports assert, or written by an LLM and checked against them.
- **ecg_qa**: the stated share of ECG-QA, stratified by split, question type and template, with "Please answer briefly."
- **classification**: the test records of the labelled corpora; evaluation only.
- Signals are kept at 100 Hz in microvolts, the twelve leads by name; splits are by patient.
"""


def card(facts: Mapping) -> str:
    """Markdown of the facts that `dataset.json` holds."""
    made, sources = facts["made_with"], facts["sources"]
    lines = [
        "# A dataset built by anyecg", "",
        f"{facts['questions']:,} questions over {sum(source['records'] for source in sources.values()):,} recordings; seed {made.get('seed', '-')}; "
        f"question rules version {made.get('version', '-')}; anyecg {version('anyecg')}; fingerprint `{facts['fingerprint']}`.", "",
        "The same command gives the same bytes.", "", "## Sources", "",
        *table(["source", "recordings", "hours", "skipped", "interpolated samples", "annotations outside", "fingerprint"], (
            [name, f"{one['records']:,}", f"{one['seconds'] / 3600:,.1f}", f"{one['skipped']:,}", f"{one['interpolated']:,}", f"{one['outside']:,}", f"`{one['fingerprint']}`"]
            for name, one in sources.items()
        )), "",
        "Skipped recordings and the reason of each: `stores/<source>/skipped.csv`.", "", "## Questions", "",
        *table(["pool", "subset", "train", "val", "test", "positive", "negative"], counts(facts["counts"])), "",
        "## Left out", "",
        *(table(["pool", "why", "questions"], ([row["pool"], row["why"], f"{row['count']:,}"] for row in facts["dropped"])) if facts["dropped"] else ["Nothing."]), "",
        "## Rules", RULES,
        "## Checksums (SHA-256)", "",
        *table(["file", "sha256"], ([name, f"`{checksum}`"] for name, checksum in sorted(facts["checksums"].items()))),
        "", "Those of the signals lie in `stores/<source>/store.json`.",
    ]
    return "\n".join(lines) + "\n"


def counts(rows: Iterable[Mapping]) -> list[list[str]]:
    """Table 2's shape: one line a pool and subset, by split, and by answer where a question can be in vain."""
    found = Counter()
    for row in rows:
        for column in (row["split"], row["answer"]):
            found[row["pool"], row["subset"], column] += row["count"]
    lines = dict.fromkeys((pool, subset) for pool, subset, _ in found)
    return [[pool, subset, *(f"{found[pool, subset, column]:,}" if found[pool, subset, column] else "–" for column in ("train", "val", "test", "positive", "negative"))]
            for pool, subset in lines]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A markdown table, a line a row."""
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]
