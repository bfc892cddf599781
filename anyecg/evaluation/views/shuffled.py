"""Another patient's ECGs of the same kind and length."""

from collections.abc import Sequence
from dataclasses import replace

from anyecg.evaluation.controls import donors
from anyecg.evaluation.views.base import Pair, Setup, View
from anyecg.tasks.base import Task
from anyecg.types import ECGSample

SAME = "donor_same"  # whether the donor's true answer is the question's own


class Shuffled(View):
    """Each question with the ECGs of its donor (`controls.donors`), scored by its own truth."""

    label = "shuffled (another patient's ECG)"
    short = "shuffled"
    colour = "#8f9fb0"

    def put(self, samples: Sequence[ECGSample], setup: Setup) -> dict[str, ECGSample]:
        lent = donors(samples, setup.seed, setup.patients, setup.seconds)
        self._answers = {id: donor.answer.strip() for id, donor in lent.items()}
        return {
            sample.id: replace(sample, records=lent[sample.id].records, evidence=lent[sample.id].evidence)
            for sample in samples
        }

    def columns(self, task: Task, pairs: Sequence[Pair]) -> dict[str, list[float]]:
        return {SAME: [float(self._answers[pair.sample.id] == pair.sample.answer.strip()) for pair in pairs]}
