"""Checks of settings: every problem of a dataclass, each with its key, in one error."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from anyecg.registry import registry
from anyecg.types import ConfigError


class SettingsError(ConfigError):
    """Settings that cannot be meant. problems: (key, what is wrong with it) each; a key may have dots."""

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{key}: {what}" for key, what in self.problems))


class Checks:
    """For a dataclass's `__post_init__`: `with Checks(self) as check:` collects problems, SettingsError at its end
    tells them all.

    A value that is None (not set) has none.
    """

    def __init__(self, settings: Any) -> None:
        self.settings, self.problems = settings, []

    def __enter__(self) -> Checks:
        return self

    def __exit__(self, kind: type | None, *_) -> None:
        if kind is None and self.problems:
            raise SettingsError(self.problems)

    def wrong(self, key: str, what: str) -> None:
        """A problem of any kind."""
        self.problems.append((key, what))

    def among(self, key: str, known: Iterable[str]) -> None:
        """The word, each word of the list, or each key of the mapping is one of `known`."""
        value, known = getattr(self.settings, key), tuple(known)
        words = [] if value is None else [value] if isinstance(value, str) else value
        for word in words:
            if word not in known:
                self.wrong(
                    f"{key}.{word}" if isinstance(value, Mapping) else key, f"'{word}' is unknown{meant(word, known)}"
                )

    def registered(self, key: str, kind: str) -> None:
        """The name is one of a registry of `registry.KINDS`, or "module:Name"."""
        try:
            registry(kind).target(getattr(self.settings, key))
        except ConfigError as error:
            self.wrong(key, str(error))

    def number(
        self,
        *keys: str,
        least: float | None = None,
        above: float | None = None,
        most: float | None = None,
        below: float | None = None,
    ) -> None:
        """The number, or each number of the mapping or list, is finite and within these bounds."""
        told = [("at least", least), ("above", above), ("at most", most), ("below", below)]
        bounds = " and ".join(f"{words} {bound:g}" for words, bound in told if bound is not None)
        for key in keys:
            value = getattr(self.settings, key)
            numbers = (
                {f"{key}.{name}": number for name, number in value.items()}
                if isinstance(value, Mapping)
                else {f"{key}[{place}]": number for place, number in enumerate(value)}
                if isinstance(value, (list, tuple))
                else {key: value}
            )
            for name, number in numbers.items():
                if number is None:
                    continue
                fits = (least is None or number >= least) and (above is None or number > above)
                if not (
                    fits
                    and (most is None or number <= most)
                    and (below is None or number < below)
                    and math.isfinite(number)
                ):
                    self.wrong(name, f"{bounds or 'a finite number'}, not {number}")


def meant(word: str, known: Iterable[str]) -> str:
    """What a message adds to an unknown word: the known one that is like it, or all of them."""
    known = tuple(known)
    close = get_close_matches(str(word), known, n=1)
    return f"; did you mean '{close[0]}'?" if close else f" (known: {', '.join(known)})"
