"""The card of a built dataset: sources, rules, counts, checksums, for people to read (`README.md` of the dataset)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from anyecg.data.dataset.provenance import told

SIGNALS = """- Signals are kept at the rate stated above, in microvolts, the twelve leads by name; splits are by patient. CPSC2018, Chapman-Shaoxing-Ningbo and MIT-BIH ST Change do not say whose a record is: a patient is a record there. In MIT-BIH Arrhythmia 201 and 202 are one patient; in European ST-T the records whose headers agree are (78 patients of 90 records; the release counts 79).
- How many, how long and of what: the settings below.
"""  # noqa: E501


def card(facts: Mapping) -> str:
    """Markdown of the facts that `dataset.json` holds."""
    made, sources = facts["made_with"], facts["sources"]
    return (
        "\n".join(
            [
                "# A dataset built by anyecg",
                "",
                f"{facts['questions']:,} questions over {sum(source['records'] for source in sources.values()):,} "
                f"recordings; seed {made.get('seed', '-')}; "
                f"anyecg {facts['anyecg']}; fingerprint `{facts['fingerprint']}`.",
                "",
                f"Signals at {next(iter(sources.values()))['fs']:g} Hz. The same command gives the same bytes.",
                "",
                *tallies(facts),
                "## Where they come from",
                "",
                *(line for name, source in sources.items() for line in told(name, source["origin"])),
                *(line for name, found in facts["origins"].items() for line in told(name, found)),
                "",
                "## Rules",
                "",
                *(f"- **{name}**: {rule}" for name, rule in made.get("rules", {}).items() if rule),
                SIGNALS,
                "## Settings",
                "",
                *settings(made),
                "",
                "## Checksums (SHA-256)",
                "",
                *table(
                    ["file", "sha256"],
                    ([name, f"`{checksum}`"] for name, checksum in sorted(facts["checksums"].items())),
                ),
                "",
                "Those of the signals lie in `stores/<source>/store.json`.",
            ]
        )
        + "\n"
    )


def tallies(facts: Mapping) -> list[str]:
    """The part of a card that counts: recordings, questions, and what was left out of either."""
    return [
        "## Sources",
        "",
        *table(
            ["source", "recordings", "hours", "skipped", "interpolated", "clipped", "outside"],
            (
                [
                    name,
                    f"{one['records']:,}",
                    f"{one['seconds'] / 3600:,.1f}",
                    *(f"{one[what]:,}" for what in ("skipped", "interpolated", "clipped", "outside")),
                ]
                for name, one in facts["sources"].items()
            ),
        ),
        "",
        "Skipped: recordings that cannot be used; each with its reason in `stores/<source>/skipped.csv`. "
        "Interpolated: samples that the source marks "
        "invalid. Clipped: samples beyond 32.767 mV. Outside: annotations beyond the ends of their recording, left "
        "out.",
        "",
        *remarks(facts["sources"]),
        "## Questions",
        "",
        *table(["pool", "subset", "train", "val", "test", "positive", "negative"], counts(facts["counts"])),
        "",
        "## Left out",
        "",
        *(
            table(
                ["pool", "why", "questions"],
                ([row["pool"], row["why"], f"{row['count']:,}"] for row in facts["dropped"]),
            )
            if facts["dropped"]
            else ["Nothing."]
        ),
        "",
    ]


def remarks(sources: Mapping[str, Mapping]) -> list[str]:
    """What is odd about the recordings of each source, a list item each."""
    lines: list[str] = []
    for name, one in sources.items():
        unknown, disordered, alike = one.get("unknown_leads", {}), one.get("disordered", 0), one.get("alike", 0)
        if unknown:
            lines.append(
                f"- {name}: leads that are none of the twelve, left out: "
                f"{', '.join(f'{lead} ({count:,})' for lead, count in unknown.items())}"
            )
        if assumed := one.get("assumed_leads"):
            lines.append(
                f"- {name}: leads without a name of their own, taken for: "
                f"{', '.join(f'{lead} ({count:,})' for lead, count in assumed.items())}"
            )
        if broken := one.get("broken_leads"):
            lines.append(
                f"- {name}: leads whose samples are mostly invalid, or have a long gap, taken as absent: "
                f"{', '.join(f'{lead} ({count:,})' for lead, count in broken.items())}"
            )
        if slow := one.get("upsampled"):
            lines.append(
                f"- {name}: {slow:,} recordings were sampled at less than {one['fs']:g} Hz; their store holds no more "
                f"than they did"
            )
        if disordered:
            lines.append(
                f"- {name}: {disordered:,} annotations stood behind a later one in their file, and were put in order"
            )
        if alike:
            across = (
                f"; WARNING: {one['alike_across_splits']:,} groups of them lie in several splits"
                if one["alike_across_splits"]
                else ""
            )
            lines.append(
                f"- {name}: {alike:,} recordings have the same samples as another, see "
                f"`stores/{name}/alike.csv`{across}"
            )
    return [*lines, ""] if lines else []


def settings(made: Mapping) -> list[str]:
    """What the questions were made with, a list item each."""
    knobs = {f"tasks.{key}.{name}": value for key, one in made.get("tasks", {}).items() for name, value in one.items()}
    knobs = {"imported": made["imported"]} if "imported" in made else knobs
    return [f"- {name}: `{json.dumps(value)}`" for name, value in knobs.items()] or ["Not recorded."]


def counts(rows: Iterable[Mapping]) -> list[list[str]]:
    """Table 2's shape: one line a pool and subset, by split, and by answer where a question can be in vain."""
    found = Counter()
    for row in rows:
        for column in (row["split"], row["answer"]):
            found[row["pool"], row["subset"], column] += row["count"]
    lines = dict.fromkeys((pool, subset) for pool, subset, _ in found)
    return [
        [
            pool,
            subset,
            *(
                f"{found[pool, subset, column]:,}" if found[pool, subset, column] else "–"
                for column in ("train", "val", "test", "positive", "negative")
            ),
        ]
        for pool, subset in lines
    ]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A markdown table, a line a row."""
    lines = (" | ".join(cell.replace("|", r"\|") for cell in row) for row in (head, *rows))
    return [f"| {next(lines)} |", f"|{'---|' * len(head)}", *(f"| {line} |" for line in lines)]
