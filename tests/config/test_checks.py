"""Checks of settings: every problem of a dataclass at once, each with its key."""

from dataclasses import dataclass, field

import pytest

from anyecg.config.checks import Checks, SettingsError, meant


@dataclass(frozen=True)
class Settings:
    kind: str | None = "red"
    kinds: list[str] = field(default_factory=list)
    shares: dict[str, float] = field(default_factory=dict)
    size: float | None = 1

    def __post_init__(self):
        with Checks(self) as check:
            check.among("kind", ("red", "green"))
            check.among("kinds", ("red", "green"))
            check.among("shares", ("red", "green"))
            check.number("shares", least=0, below=1)
            check.number("size", above=0, most=8)


def test_every_problem_has_its_key():
    with pytest.raises(SettingsError) as error:
        Settings("rad", ["green", "grean", "x"], {"red": 1.0, "blue": 0.5}, 9)
    assert error.value.problems == (
        ("kind", "'rad' is unknown; did you mean 'red'?"), ("kinds", "'grean' is unknown; did you mean 'green'?"), ("kinds", "'x' is unknown (known: red, green)"),
        ("shares.blue", "'blue' is unknown (known: red, green)"), ("shares.red", "at least 0 and below 1, not 1.0"), ("size", "above 0 and at most 8, not 9"),
    )  # fmt: skip
    assert "kind: 'rad' is unknown" in str(error.value)


@pytest.mark.parametrize("size", [float("nan"), float("inf"), 0, -1])
def test_what_is_no_number_of_these(size):
    with pytest.raises(SettingsError, match="size: above 0"):
        Settings(size=size)


def test_what_is_not_set_has_no_problem():
    assert Settings(None, [], {}, None).size is None


def test_another_error_is_not_hidden():
    with pytest.raises(ZeroDivisionError), Checks(Settings()) as check:
        check.wrong("size", "told later")
        1 / 0  # noqa: B018


def test_a_word_that_is_like_none():
    assert (
        meant("encodr", ["encoder", "llm"]) == "; did you mean 'encoder'?" and meant(7, ["a", "b"]) == " (known: a, b)"
    )
