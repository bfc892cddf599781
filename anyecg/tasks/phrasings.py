"""How questions are worded: the phrasing pools of the released anyECG dataset, and one of as many as MEIT has."""

from __future__ import annotations

from pathlib import Path

REPORT = (
    "Give me a detailed report on this ECG.",
    "May I have the official report for the ECG provided?",
    "Give me the report of this ECG.",
    "Can you share the report of the following ECG?",
    "Provide me with the report of this ECG.",
    "Could you send me the ECG report?",
    "Please generate a report for the ECG below.",
    "I’d like to receive the report for this ECG.",
    "I need a report on the following ECG.",
    "Please provide the report for the following ECG.",
)
# 256 requests for a report, our own words, made of a few patterns and kept as data, one a line: MEIT has as many,
# rewritten by an LLM and not published.
VARIED = tuple((Path(__file__).parent / "report" / "requests.txt").read_text(encoding="utf-8").splitlines())
CLASSIFICATION = "Please provide the report for the following ECG."
# The release runs two of these together ("Assess this ECG ...Where does ..."); here they are the two they were meant to
# be.
LOCALIZATION = (
    "Locate the {name} on this ECG for me, please.",
    "Help me locate the {name} on this ECG.",
    "Could you identify where the {name} is on this ECG?",
    "Where should I look to find the {name} on this ECG?",
    "Can you locate the {name} on this ECG?",
    "On this ECG, where can I see the {name}?",
    "Determine where the {name} is located on this electrocardiogram.",
    "Examine this ECG and point out where the {name} is located.",
    "Help me find where the {name} shows up on this ECG.",
    "Assess this ECG and specify the location of the {name}.",
    "Where does the {name} appear in this ECG?",
    "Determine where the {name} is on this electrocardiogram.",
    "Tell me where to find the {name} on this ECG.",
    "Please locate the specific location of the {name} on this ECG.",
    "Where is the {name} located in this ECG?",
    "Check this ECG and tell me where the {name} appears.",
    "I need to find the {name} on this ECG; where should I look?",
    "Can you show me where the {name} occurred on this ECG?",
    "Could you point out where the {name} is on this ECG?",
)
