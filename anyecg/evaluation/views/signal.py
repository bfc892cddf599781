"""Every question with its own ECGs."""

from anyecg.evaluation.views.base import View


class Signal(View):
    """The questions as they are."""

    label = "with the ECG"
    short = "with the ECG"
    colour = "#2b5c8a"
