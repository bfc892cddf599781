"""The evidence in words in place of each ECG: what a perfect reader would see."""

from anyecg.evaluation.views.base import View


class Evidence(View):
    """Each ECG's evidence as words, as an LLM that learns to read on text gets it."""

    label = "the ECG's evidence in words"
    short = "evidence in words"
    colour = "#5b8c5a"
    shows = "evidence"
    strict = False  # no control: it tells the answer to who can read
