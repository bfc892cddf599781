"""How the questions of ECGInstruct's families are worded: settings, requests and forms of answers, all our own."""

from __future__ import annotations

SETTINGS = (  # who asks, and in which situation; most questions have none
    "",
    "",
    "",
    "You are reading ECGs on a night shift. ",
    "Suppose a colleague hands you this tracing. ",
    "A medical student asks you about this ECG. ",
    "Before the ward round you look at this recording. ",
    "Imagine that this ECG was sent to you for a second opinion. ",
    "This tracing was taken at a routine visit. ",
    "You are checking a machine's reading. ",
)
YES_NO = (
    "Does this ECG show {name}? Answer yes or no.",
    "Is there {name} on this tracing? Reply with yes or no only.",
    "Can {name} be seen here? Yes or no.",
    "Would you report {name} for this ECG? (yes/no)",
    "Decide whether this recording has {name}; answer with one word, yes or no.",
    "True to what is drawn: is {name} present? Say yes or no.",
    "A note says that this ECG has {name}. Is the note right? Answer yes or no.",
    "Look for {name}. Is it there? Yes or no, please.",
)
LIST = (
    "Which of these does the ECG show: {options}? Name all that apply, separated by {mark}, or none.",
    "Select every finding that is present from this list: {options}. Separate them by {mark}; none if there is none.",
    "From {options}, give those that you see, with {mark} between them (none if there are none).",
    "Mark what applies to this tracing: {options}. Answer with the names only, {mark} between two of them, or none.",
    "Check this recording for {options}. List what is there, separated by {mark}; if nothing is, say none.",
    "Of the following, which are present: {options}? Use {mark} as the separator, and none for an empty list.",
)
MARKS = (("commas", ", "), ("semicolons", "; "), ("slashes", " / "))
CHOICE = (
    "Which option describes {topic} of this ECG?\n{options}\nAnswer with the letter.",
    "Choose the statement that fits {topic} on this tracing.\n{options}\nGive its letter only.",
    "What is true of {topic} here?\n{options}\nReply with one letter.",
    "Pick the one answer about {topic} that the recording supports.\n{options}\nState the letter of your choice.",
    "Multiple choice: {topic}.\n{options}\nWhich letter is right?",
    "One of these is right for {topic} of this ECG:\n{options}\nWhich one? Name the letter.",
)
LETTERED = ("{letter}. {text}", "{letter}) {text}")
FILL = (
    "Complete the sentence about {topic}: This ECG shows ____.",
    "Fill in the blank: As for {topic}, the tracing has ____.",
    'Replace the gap by what you see of {topic}: "The recording demonstrates ____."',
    "Finish this note on {topic}: Impression: ____.",
    "What belongs in the blank? {topic}: ____.",
    "Supply the missing words on {topic}: I would report ____.",
)
OPEN = (
    "What do you see of {topic} on this ECG?",
    "Describe {topic} of this tracing.",
    "Comment on {topic} of this recording.",
    "Explain to a student what this ECG shows of {topic}.",
    "How would you sum up {topic} here?",
    "Which findings would you note about {topic}?",
    "Tell me about {topic} of this ECG in a sentence.",
    "What stands out in {topic} of this tracing?",
)
FOLLOW = (
    "And {topic}?",
    "What about {topic}?",
    "Thank you. Now {topic}, please.",
    "Go on with {topic}.",
    "Is there anything to say about {topic}?",
)
REPORT = (
    "Write a report of this ECG.",
    "Give the full report for this tracing.",
    "Please interpret this ECG and report all findings.",
    "What would your report of this recording say?",
    "Produce a clinical report from this ECG.",
    "Read this ECG and state every finding.",
    "Summarize this tracing as a report.",
    "Report on rhythm, conduction and morphology of this ECG.",
)
TOPICS = {  # family -> how it is called in a question
    "feature": ("axis and voltage", "the electrical axis and the voltages", "axis and amplitude of the QRS complexes"),
    "rhythm": ("the rhythm", "rhythm and conduction", "rhythm, conduction and extra beats"),
    "morphology": (
        "infarction and repolarization",
        "ST segments, T waves and Q waves",
        "signs of infarction or ischemia",
    ),
}
NOTHING = {  # family -> what is said where a report asserts nothing of it
    "feature": "normal axis and voltage",
    "rhythm": "no rhythm disturbance",
    "morphology": "no sign of infarction or ischemia",
}
