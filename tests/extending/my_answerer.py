"""An answerer without a language model: the answer of the training question whose ECG is most alike."""

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from anyecg.answerers.base import Answerer, Fitting
from anyecg.config.fingerprint import fingerprint
from anyecg.config.schema import InputConfig
from anyecg.data.loading.dataset import QuestionDataset
from anyecg.types import ECGSample, Prediction


class Nearest(Answerer):
    """Nearest training ECG by the magnitude spectrum of its first clip."""

    label = "nearest training ECG"
    knows = "training labels"

    def fit(self, fitting: Fitting) -> None:
        self.stores, self.spec, self.known = fitting.stores, fitting.experiment.input_spec, {}
        for task in fitting.tasks:
            samples = list(fitting.training.samples(task))
            self.known[task] = (self._spectra(samples, "signal"), [sample.answer for sample in samples])
        self.key = fingerprint("nearest", fitting.training.fingerprint)

    def answer(
        self, samples: Sequence[ECGSample], view: str, answered: Collection[str] = frozenset()
    ) -> Iterator[Prediction]:
        shown = "signal" if view == "shuffled" else view  # shuffled samples come with the other patient's ECG
        for sample, spectrum in zip(samples, self._spectra(samples, shown), strict=True):
            if sample.id not in answered:
                spectra, answers = self.known[sample.task]
                yield Prediction(sample.id, answers[int(np.linalg.norm(spectra - spectrum, axis=1).argmin())])

    def _spectra(self, samples: Sequence[ECGSample], view: str) -> np.ndarray:
        """`[samples, frequencies]` up to 20 Hz, of lead II."""
        dataset = QuestionDataset(
            list(samples), range(len(samples)), self.stores, InputConfig(max_seconds=10), view, spec=self.spec
        )
        return np.stack([np.abs(np.fft.rfft(dataset[i].clips[0][0][1]))[:200] for i in range(len(samples))])
