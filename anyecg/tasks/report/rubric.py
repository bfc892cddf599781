"""Four criteria from 1 to 5 by which an LLM judge grades a report beside the reference (as MEIT's Table 4 has four).

MEIT's prompt, and how many ECGs were graded, are not known: the words here are our own.
"""

from __future__ import annotations

import pandas as pd

from anyecg.tasks.base import Rubric

OPENING = """A model wrote a report of an ECG. It saw the ECG and not the reference; you have the reference.

The reference report:
<reference>
{reference}
</reference>

The model's report:
<report>
{report}
</report>

Assess the model's report by the reference: which findings and diagnoses are right, wrong, missing or added, whether terms are used rightly, and whether its conclusions follow from its findings."""  # noqa: E501
ASKED = {
    "terminology": "whether it uses the terms of ECG reading rightly",
    "logic": "whether its statements agree with each other, and its conclusions follow from its findings",
    "completeness": "whether it says all that the reference says",
    "diagnosis": "whether its rhythm and its diagnoses are the reference's",
}
CLOSING = (
    "So how do you grade its {name}: {asked}? Reply with one whole number from 1 (not at all) to 5 (wholly) and "
    "nothing else."
)
RUBRIC = Rubric(
    {f"judge_{name}": CLOSING.format(name=name, asked=asked) for name, asked in ASKED.items()}, lowest=1.0, highest=5.0
)
METRICS = {
    f"judge_{name}": f"mean grade of the LLM judge, 1 to 5: {asked} (MEIT's Table 4 has a criterion of that name)"
    for name, asked in ASKED.items()
}


def opening(reference: str, report: str) -> str | None:
    """The turn that asks for an assessment; None without a reference."""
    if not reference.strip():
        return None
    written = report.encode(errors="replace").decode().strip() or "(there is no report)"
    return OPENING.format(reference=reference.strip(), report=written)


def means(rows: pd.DataFrame) -> dict[str, float]:
    """The mean of each grade over the reports that have one."""
    found = {column: rows[column].mean() for column in RUBRIC.criteria if column in rows}
    return {column: float(value) for column, value in found.items() if value == value}
