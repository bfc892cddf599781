"""Every ECG withheld, its positions in the text kept."""

from anyecg.evaluation.views.base import View


class Blind(View):
    """Zeros with all leads absent, in as many clips as the ECG has."""

    label = "blind (no ECG)"
    short = "blind"
    colour = "#c9c9c9"
    shows = "blank"
