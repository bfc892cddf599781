"""Lettered options, each a set of diagnoses, one of them the record's; or as ECGBench's files ask them."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from anyecg.data.chance import chance
from anyecg.data.store.store import Stores
from anyecg.tasks.label_sets import LabelConfig, LabelSet, labelled, written
from anyecg.tasks.multiple_choice import LETTERS, lettered, read_choice
from anyecg.tasks.release.conversations import present, questions_in
from anyecg.types import ECGSample

POOL = "multiple_choice"
MANY, OPTIONS = 10, (4, 8)  # a set of so many labels has eight options, a smaller one four (PULSE, section 3.1)
WORDINGS = (
    "Which option gives the diagnoses of this ECG?\n{options}\nAnswer with its letter.",
    "One of these lists of diagnoses is right for the recording.\n{options}\nReply with one letter.",
    "What does this electrocardiogram show? Choose one.\n{options}\nGive the letter only.",
    "Pick the set of labels that was assigned to this tracing.\n{options}\nName the letter.",
    "Read the ECG, then choose the option that fits it.\n{options}\nState the letter of your choice.",
    "Multiple choice: which diagnoses hold here?\n{options}\nOne letter, please.",
)
_OPTION = re.compile(r"(?:^|(?<=[\s,;(]))\(?([A-Z])[.):]\s*(.+?)(?=\s*[,;]?\s+\(?[A-Z][.):]\s|\s*$)", re.DOTALL)


@dataclass(frozen=True)
class ChoiceConfig(LabelConfig):
    """sets: corpus (its key) -> the label set that is asked of, empty for the first of every corpus that has more
    than twelve labels.
    """


def choice_questions(stores: Stores, cfg: ChoiceConfig, seed: int, dropped: Counter) -> Iterator[tuple[str, ECGSample]]:
    """(split, question): one for each record with a label of the set; no wrong option has one of its labels."""
    for one in labelled(stores, cfg, few=False):
        if not one.held:
            dropped[POOL, "record without a label of the set"] += 1
            continue
        rng = chance(seed, POOL, one.record)
        options = options_of(one.labels, one.held, rng)
        right = options.index(_listed(one.labels, one.held))
        asked = rng.choice(WORDINGS).format(options="\n".join(lettered(options)))
        yield one.question(POOL, asked, LETTERS[right], {"options": options, "right": right})
    for corpus, path in present(cfg.files, cfg.absent).items():
        for split, sample in questions_in(path, {"": stores[corpus]}, POOL, cfg.split, dropped):
            question = next(turn.text for turn in sample.conversation if turn.role == "user")
            options = shown_options(question)
            read = read_choice(sample.answer, options) if options else None
            if read is None:
                dropped[POOL, "row without lettered options, or whose answer is none of them"] += 1
            else:
                meta = {"options": options, "right": read}
                yield split, ECGSample(**{**vars(sample), "meta": meta})


def options_of(labels: LabelSet, held: Sequence[str], rng: random.Random) -> list[str]:
    """The options of a question in random order: the record's labels, and sets of as many labels, or one more or less,
    none of which it has.
    """
    count = OPTIONS[len(labels.shown) >= MANY]
    others = [acronym for acronym in labels.shown if acronym not in held]
    found = {_listed(labels, held): None}
    for attempt in range(50 * count):  # a small set may not have as many combinations
        size = len(held) + rng.choice((-1, 0, 0, 1)) if attempt < 10 * count else rng.randint(1, len(labels.shown))
        size = min(len(others), max(1, size))
        if not size:
            break
        drawn = rng.sample(others, size)
        found[_listed(labels, [acronym for acronym in labels.shown if acronym in drawn])] = None
        if len(found) == count:
            break
    return rng.sample([*found], len(found))


def shown_options(question: str) -> list[str]:
    """The texts of the options "A. ...", "B. ..." that a question shows, in order; none where they are no such row."""
    found = _OPTION.findall(question)
    # a question's own words may hold a letter and a stop before its options begin
    first = next((n for n in range(len(found)) if found[n][0] == "A"), None)
    if first is None:
        return []
    texts = []
    for expected, (letter, text) in zip(LETTERS, found[first:]):
        if letter != expected:
            break
        texts.append(text.splitlines()[0].strip(" ,;"))
    return texts if len(texts) > 1 else []


def _listed(labels: LabelSet, acronyms: Sequence[str]) -> str:
    return ", ".join(written(acronym, labels.shown[acronym]) for acronym in acronyms)
