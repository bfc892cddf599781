"""Options of a multiple-choice question, read strictly and as published scorers do."""

import pytest

from anyecg.tasks.multiple_choice import lettered, read_choice, read_choices

RHYTHMS = ("Sinus rhythm", "Atrial fibrillation", "Atrial flutter", "Sinus tachycardia")
LEADS = ("I", "II", "III", "aVR", "V1", "V2")
RANGES = ("0.10-0.12 s", "0.12-0.20 s", "0.20-0.24 s")


@pytest.mark.parametrize(("text", "found"), [
    ("II, III", {1, 2}), ("leads II and III", {1, 2}), ("B and C", {1, 2}), ("[\"II\", \"V2\"]", {1, 5}), ("B, E", {1, 4}), ("V1 and V2, not II", {4, 5}), ("nothing", None),
])  # fmt: skip
def test_several_options(text, found):
    assert read_choices(text, LEADS) == (None if found is None else frozenset(found))


@pytest.mark.parametrize(("text", "found"), [
    ("A. I\nC. III", {0, 2}), ("A. I\nB. II\nC. III\nD. aVR\nE. V1\nF. V2", None), ("A. I\nB. II\nC. III\nD. aVR\nE. V1\nF. V2\n\nB", {1}),
    ("A: I - no\nB: II - yes", {1}), ("(A) ❌ (B) ✅ (C) ❌ (D) ❌", {1}), ("A) False B) True C) False", None),
    ("not A, B", None), ("It is not A, B or C.", None), ("I rule out A, C and D.", None), ("Correct: B; incorrect: A, C, D", None),
    ("Not A, so B.", {1}), ("Options A, B and D are wrong; C", {2}), ("The answer is A, B is wrong", {0}), ("A. No, wait: B", {1}),
])  # fmt: skip
def test_denied_lists_and_repeated_questions(text, found):
    assert read_choices(text, LEADS) == (None if found is None else frozenset(found))


@pytest.mark.parametrize(("text", "found"), [
    ("0.12-0.20 s", 1), ("B", 1), ("It falls into 0.12–0.20 s.", 1), ("C. 0.20-0.24 s", 2), ("0.12-0.20 s or 0.20-0.24 s", None),
])  # fmt: skip
def test_ranges(text, found):
    assert read_choice(text, RANGES) == found


@pytest.mark.parametrize(("text", "found"), [
    ("Yes", 0), ("No, it does not.", 1), ("A. Yes", 0), ("B", 1), ("Yes and no", None), ("I cannot tell.", None),
])  # fmt: skip
def test_yes_or_no(text, found):
    assert read_choice(text, ("Yes", "No")) == found


@pytest.mark.parametrize(("text", "strict", "published"), [
    ("B", 1, 1), ("Atrial fibrillation", 1, 1), ("It is not atrial fibrillation.", None, 1), ("A. Atrial fibrillation", None, 0), ("A or B", None, 0),
    ("no idea", None, None), ("", None, None), ("Not A but B.", 1, 0), ("Atrial flutter, not sinus rhythm", 2, 2),
])  # fmt: skip
def test_published_scorers_look_at_no_denial_and_guess_nothing(text, strict, published):
    assert read_choice(text, RHYTHMS) == strict
    assert read_choice(text, RHYTHMS, "published") == published


def test_every_option_reads_back_by_letter_and_by_text():
    for options in (RHYTHMS, LEADS, RANGES, ("Yes", "No", "Further findings are required to confirm the diagnosis")):
        for n, (option, shown) in enumerate(zip(options, lettered(options))):
            assert (
                read_choice(option, options)
                == read_choice(shown, options)
                == read_choice(f"The answer is {shown[0]}.", options)
                == n
            )
