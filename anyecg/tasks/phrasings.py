"""How questions are worded: the phrasing pools of the released anyECG dataset, and one of as many as MEIT has."""

from __future__ import annotations

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
# 256 requests for a report from a few patterns, our own words: MEIT has as many, rewritten by an LLM and not published.
OPENINGS = (
    "Please {} this {}.",
    "Could you {} this {}, please?",
    "I would like you to {} this {}.",
    "Look at the recording and {} this {}.",
    "As a cardiologist would, {} this {}.",
    "Your task is to {} this {}.",
    "For the patient's file, {} this {}.",
    "Kindly {} this {} for me.",
)
REQUESTS = (
    "write a report of",
    "report the findings of",
    "describe the findings in",
    "interpret",
    "summarise",
    "give a written reading of",
    "state the diagnostic findings of",
    "put into words what is seen in",
)
NAMES = ("ECG", "electrocardiogram", "12-lead ECG", "heart tracing")
VARIED = tuple(opening.format(asks, name) for opening in OPENINGS for asks in REQUESTS for name in NAMES)
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
