"""Multiple choice among sets of diagnoses (PULSE's CSN, G12EC and MMMU ECG)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from anyecg.data.chance import chance
from anyecg.tasks.base import Sources, Words
from anyecg.tasks.choice.build import WORDINGS, ChoiceConfig, choice_questions
from anyecg.tasks.label_sets import LabelTask
from anyecg.tasks.multiple_choice import LETTERS, lettered, read_choice
from anyecg.types import ECGSample, Prediction

SEED = 42  # of the letter that PULSE's scorer draws for an answer without one
_PHRASE = re.compile(r"\b(?:answer|option|choice)(?:\s+is)?\s*:?\s*\(?([A-H])\b", re.IGNORECASE)


class MultipleChoice(LabelTask):
    """One of lettered options, each a set of diagnoses.

    Read twice: strictly (a letter or a whole option that is not denied; anything open is no answer and wrong), and as
    PULSE's scorer does (`accuracy_published`): a bare letter, else the first of "A." to "H." in the order of the
    alphabet wherever it stands, else one after a set phrase, else a letter drawn at random.
    """

    Config = ChoiceConfig
    cfg: ChoiceConfig
    name = "multiple_choice"
    pools = ("multiple_choice",)
    title = "Multiple choice"
    rule = (
        "for each record with a label of a corpus's larger label set, four to eight lettered options, each a set of "
        "labels, in six wordings; or ECGBench's own questions."
    )
    needs = "it asks for the labels of corpora with many: add evaluation.corpora.csn or g12ec, or corpora.ptbxl"
    words = {"multiple_choice": Words(110, 2, 20)}
    primary = "accuracy"
    metrics = {
        "accuracy": "share of questions answered right, read strictly, 0 to 1",
        "accuracy_published": "share answered right as PULSE's scorer reads, which draws a letter where it finds none, "
        "0 to 1",
        "chance": "mean of one in as many as a question has options, 0 to 1",
    }
    groups = {"corpus": "subset"}
    shown = ("accuracy", "accuracy_published")

    def build(self, sources: Sources) -> Iterator[tuple[str, ECGSample]]:
        return choice_questions(sources.stores, self.cfg, sources.seed, sources.dropped)

    def parse(self, text: str, sample: ECGSample) -> int | None:
        """The place of the option that an answer gives, by the strict parser."""
        return read_choice(text, sample.meta["options"])

    def agrees(self, sample: ECGSample) -> bool:
        return self.parse(sample.answer, sample) == sample.meta["right"]

    def wordings(self, sample: ECGSample) -> Sequence[str]:
        shown = "\n".join(lettered(sample.meta["options"]))
        return [wording.format(options=shown) for wording in WORDINGS]

    def score(self, samples: Sequence[ECGSample], predictions: Iterable[Prediction]) -> pd.DataFrame:
        predictions = list(predictions)
        texts = {prediction.id: prediction.text for prediction in predictions}
        rows = super().score(samples, predictions)
        right = [
            published_choice(texts[sample.id], len(sample.meta["options"]), sample.id) == sample.meta["right"]
            for sample in samples
        ]
        return rows.assign(published=right)

    def measure(self, samples: Sequence[ECGSample], answers: Sequence[int | None]) -> pd.DataFrame:
        """`correct`, and `guess`: the chance of a guess."""
        pairs = list(zip(samples, answers, strict=True))
        return pd.DataFrame(
            {
                "correct": [answer == sample.meta["right"] for sample, answer in pairs],
                "guess": [1 / len(sample.meta["options"]) for sample in samples],
            }
        )

    def compute(self, rows: pd.DataFrame) -> dict[str, float]:
        found = {"accuracy": float(rows["correct"].mean()), "chance": float(rows["guess"].mean())}
        return found | ({"accuracy_published": float(rows["published"].mean())} if "published" in rows else {})


def published_choice(text: str, count: int, id: str) -> int:
    """The place of the option that PULSE's scorer takes from an answer; id: of the question, for the letter it draws
    where it finds none.
    """
    said, letters = text.strip(), LETTERS[:count]
    if len(said) == 1 and said in letters:
        return letters.index(said)
    dotted = next((letter for letter in letters if f"{letter}." in said), None)
    if dotted is None:
        phrase = _PHRASE.search(said)
        dotted = phrase[1].upper() if phrase and phrase[1].upper() in letters else None
    return letters.index(dotted) if dotted else chance(SEED, "letter", id).randrange(count)
