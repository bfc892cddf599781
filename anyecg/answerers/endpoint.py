"""Any model behind an OpenAI-compatible endpoint as answerer: ECGs as pages, as numbers, in the machine's words, or not
at all.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anyecg.answerers.base import Answerer, Fitting
from anyecg.answerers.learned import view_of
from anyecg.answerers.shown import MISSING, numbers, page
from anyecg.config.checks import Checks
from anyecg.config.code import Code
from anyecg.config.endpoint import EndpointConfig
from anyecg.config.fingerprint import fingerprint
from anyecg.data.loading.dataset import QuestionDataset
from anyecg.endpoint import Endpoint, Request
from anyecg.tasks.phrasings import REPORT
from anyecg.types import MARKER, ECGSample, InputSpec, Prediction

log = logging.getLogger(__name__)

SHOWS = ("page", "numbers", "statements", "nothing")

Shown = tuple[np.ndarray, np.ndarray, str]  # float32 `[12, T]` in mV, bool `[12]`, and the ECG in the machine's words


class EndpointAnswerer(Answerer):
    """A model behind an OpenAI-compatible endpoint (LLaVA-Med, GPT, Gemini, Qwen-VL, MedGemma), asked as it is.

    Each ECG stands where its marker is. Every reply is kept under model, sampling and messages: nothing is asked twice,
    and a request that is refused is answered with "".
    """

    label, converses, reads_text = "endpoint", True, True

    @dataclass(frozen=True)
    class Config(EndpointConfig):
        """The endpoint, and what it is shown of an ECG."""

        # an ECG as the image of a page, as measured numbers, as its statements (the evidence: all that a perfect reader
        # sees), or nothing of it
        shows: str = "page"
        # of several ECGs a report each is asked for first, and stands beside the ECG, as the paper asked its baselines
        reports_first: bool = False
        system: str = ""  # the first message ("": none)

        def __post_init__(self) -> None:
            super().__post_init__()
            with Checks(self) as check:
                check.among("shows", SHOWS)

    def fit(self, fitting: Fitting) -> None:
        experiment, cfg = fitting.experiment, self.cfg
        self.stores, self.limits, self.seed = fitting.stores, experiment.input, experiment.evaluation.seed
        self.spec = InputSpec(fs=fitting.stores.fs, seconds=experiment.input.max_seconds, scaling="millivolt")
        self.endpoint = Endpoint(cfg, Path(experiment.cache) / "answerers" / "replies.sqlite")
        asking = (cfg.sampling(), cfg.shows, cfg.reports_first, cfg.system, self.limits)
        self.key = fingerprint("endpoint", *asking, Code([EndpointAnswerer, page, numbers]).fingerprint)

    def answer(
        self, samples: Sequence[ECGSample], view: str, answered: Collection[str] = frozenset()
    ) -> Iterator[Prediction]:
        left = [one for one in samples if one.id not in answered]
        dataset = view_of(left, view, self.stores, self.limits, self.spec, self.seed)
        reports = self._reports(dataset, view) if self.cfg.reports_first else {}
        requests = (
            Request(self._messages(dataset.sample(place), self._shown(dataset, place, view), reports), one.id)
            for place, one in enumerate(left)
        )
        yield from (Prediction(id, text) for id, text in self._replies(requests, len(left)))

    def _replies(self, requests: Iterable[Request], total: int) -> Iterator[tuple[Any, str]]:
        failed = 0
        for reply in self.endpoint.ask(requests, total):
            failed += bool(reply.error)
            if reply.error:
                log.warning("%s: no answer: %s", reply.request.about, reply.error)
            yield reply.request.about, reply.text
        if failed:
            log.warning("%d of %d questions have no answer; they are asked again in a new evaluation", failed, total)

    def _reports(self, dataset: QuestionDataset, view: str) -> dict[tuple[str, int], str]:
        """(question, number of its ECG) -> the model's report of that ECG alone, for questions of several."""

        def requests() -> Iterator[Request]:
            for place in range(len(dataset)):
                shown = self._shown(dataset, place, view)
                for number, one in enumerate(shown if len(shown) > 1 else ()):
                    content = [*self._parts(one), _text(REPORT[0])]
                    yield Request(
                        self._headed([{"role": "user", "content": content}]), (dataset.sample(place).id, number)
                    )

        return dict(self._replies(requests(), 0))

    def _shown(self, dataset: QuestionDataset, place: int, view: str) -> list[Shown | None]:
        """Each ECG of a question as the view has it; None where it is withheld."""
        sample = dataset.sample(place)
        if dataset.view.shows == "blank" or self.cfg.shows == "nothing":
            return [None] * len(sample.records)
        item = dataset[place]
        found: list[Shown | None] = []
        words = [*sample.evidence, *[""] * len(sample.records)]
        for window, made, mask, said in zip(sample.records, item.clips, item.lead_masks, words):
            samples = round(self.stores.seconds(window) * self.spec.fs)
            found.append((made[0][:, :samples], mask, said))
        return found

    def _messages(
        self, sample: ECGSample, shown: Sequence[Shown | None], reports: dict[tuple[str, int], str]
    ) -> tuple[dict[str, Any], ...]:
        """The conversation up to the answer, the ECGs in the places of their markers."""
        turns = list(sample.conversation)
        if turns and turns[-1].role == "assistant":
            turns.pop()
        messages: list[dict[str, Any]] = []
        number = 0
        for turn in turns:
            first, *rest = turn.text.split(MARKER)
            content = [_text(first)] if first.strip() else []
            for piece in rest if turn.role == "user" else ():
                content += self._parts(shown[number])
                if report := reports.get((sample.id, number)):
                    content.append(_text(f"(Report of this ECG: {report.strip()})"))
                content += [_text(piece)] if piece.strip() else []
                number += 1
            words = "\n".join(part["text"].strip() for part in content if part["type"] == "text")
            plain = all(part["type"] == "text" for part in content)
            messages.append({"role": turn.role, "content": words if plain else content})
        return self._headed(messages)

    def _headed(self, messages: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
        return tuple([{"role": "system", "content": self.cfg.system}] if self.cfg.system else []) + tuple(messages)

    def _parts(self, shown: Shown | None) -> list[dict[str, Any]]:
        """An ECG as parts of a message's content."""
        if shown is None:
            return [_text(MISSING)]
        signal, mask, said = shown
        if self.cfg.shows == "page":
            image = base64.b64encode(page(signal, mask, self.spec.fs)).decode()
            return [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}}]
        return [_text(numbers(signal, mask, self.spec.fs) if self.cfg.shows == "numbers" else said or MISSING)]


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}
