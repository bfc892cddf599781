"""Multiple choice among sets of diagnoses, read strictly and as published."""

from collections import Counter

import pytest

from anyecg.simulate.conversations import letters_row, write_bench
from anyecg.tasks.choice.build import ChoiceConfig, choice_questions, shown_options
from anyecg.tasks.choice.task import MultipleChoice, published_choice
from anyecg.types import Prediction
from tests.tasks.test_abnormality import Store, Stores


class Many(Store):
    """Fourteen labels."""

    def __init__(self, corpus="csn"):
        super().__init__(corpus)
        self.codes = {str(2000 + place): f"finding number {place}" for place in range(14)}
        acronyms = {code: f"F{place}X" for place, code in enumerate(self.codes)}
        self.summary = {"corpus": corpus, "info": {"labels": {"all": self.codes}, "acronyms": acronyms}}


@pytest.fixture(scope="module")
def samples():
    return [s for _, s in choice_questions(Stores(csn=Many(), cpsc2018=Store()), ChoiceConfig(), 0, Counter())]


def test_one_of_eight_sets_is_right(samples):
    task = MultipleChoice()
    assert {sample.subset for sample in samples} == {"csn"}  # nine labels or fewer are asked by abnormality
    assert all(task.agrees(sample) and len(set(sample.meta["options"])) == 8 for sample in samples)
    right = Counter(sample.meta["right"] for sample in samples)
    assert len(right) > 4  # not always the same letter
    found = task.reduce(task.score(samples, [Prediction(sample.id, sample.answer) for sample in samples]))
    assert found == {"accuracy": 1.0, "accuracy_published": 1.0, "chance": 0.125}


def test_a_small_set_has_four_options():
    cfg = ChoiceConfig(sets={"cpsc2018": "all"})
    found = [sample for _, sample in choice_questions(Stores(cpsc2018=Store()), cfg, 0, Counter())]
    assert {len(sample.meta["options"]) for sample in found} == {4}


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ("C", 2),
        ("It is not A. but C.", 0),  # the first in the order of the alphabet, wherever it stands
        ("C. is wrong, B. is right", 1),
        ("the answer is D", 3),
        ("Option B", 1),
    ],
)
def test_the_published_reading_is_its_scorers(said, place):
    assert published_choice(said, 4, "q") == place


def test_silence_draws_a_letter_there_and_is_wrong_here(samples):
    drawn = {published_choice("no idea", 8, f"q{number}") for number in range(100)}
    assert drawn == set(range(8)) and published_choice("no idea", 8, "q") == published_choice("no idea", 8, "q")
    task = MultipleChoice()
    rows = task.score(samples, [Prediction(sample.id, "no idea") for sample in samples])
    assert not rows["parsed"].any() and task.reduce(rows)["accuracy"] == 0 < task.reduce(rows)["accuracy_published"]


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("Which?\nA. left axis deviation\nB. right axis deviation", ["left axis deviation", "right axis deviation"]),
        ("Which? A) one, B) two, C) three", ["one", "two", "three"]),
        ("Is the ECG of V. Smith normal?", []),
        ("What does it show?", []),
    ],
)
def test_options_are_found_in_a_question(question, options):
    assert shown_options(question) == options


def test_the_benchmarks_own_file_is_asked(tmp_path):
    options = ["F1X(finding number 1)", "F2X(finding number 2), F3X(finding number 3)", "F4X(finding number 4)"]
    write_bench(tmp_path, "csn-test-no-cot", [letters_row("csn", f"A{n:04d}", options, n % 3) for n in range(6)])
    cfg = ChoiceConfig(files={"csn": str(tmp_path / "csn-test-no-cot")})
    found = list(choice_questions(Stores(csn=Many()), cfg, 0, Counter()))
    assert [sample.meta["right"] for _, sample in found] == [0, 1, 2, 0, 1, 2]
    assert all(sample.meta["options"] == options for _, sample in found)
    assert {split for split, _ in found} == {"train", "val", "test"}  # those of their recordings
    assert all(MultipleChoice().agrees(sample) for _, sample in found)
