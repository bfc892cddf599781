"""A chain of steps, and the questions it becomes: each asks one step, with the true answers of those before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from anyecg.tasks.multiple_choice import LETTERS, lettered
from anyecg.types import MARKER, ECGSample, Turn, Window

POOL = "reasoning"
CONFIRM = "Further findings are required to confirm the diagnosis"


@dataclass(frozen=True)
class Step:
    """One step: kind ("diagnosis", "criterion", "finding", "lead", "wave", "measurement", "decision"), question,
    options, and the indices of those that are right; several may be where `several`.
    """

    kind: str
    question: str
    options: tuple[str, ...]
    right: tuple[int, ...]
    several: bool = False

    @property
    def text(self) -> str:
        """The question with its lettered options, a line each."""
        return "\n".join([self.question, *lettered(self.options)])

    @property
    def answer(self) -> str:
        """ "B. 120 to 200 ms"; several are joined by semicolons, none is "None of these"."""
        if not self.right:
            return "None of these"
        return "; ".join(f"{LETTERS[n]}. {self.options[n]}" for n in self.right)


@dataclass(frozen=True)
class Chain:
    """The steps towards one diagnosis on one record; holds: whether it has the diagnosis."""

    diagnosis: str
    holds: bool
    steps: tuple[Step, ...]


def questions(chain: Chain, name: str, window: Window, patient: str, subset: str, evidence: str) -> Iterator[ECGSample]:
    """A question a step; name: of the chain, unique."""
    turns: list[Turn] = []
    for number, step in enumerate(chain.steps):
        user = f"{MARKER}\n{step.text}" if not number else step.text
        turns += [Turn("user", user), Turn("assistant", step.answer)]
        yield ECGSample(
            id=f"{POOL}/{name}/{number}",
            task="reasoning",
            pool=POOL,
            subset=subset,
            patient=patient,
            records=(window,),
            evidence=(evidence,),
            conversation=tuple(turns),
            meta={
                "chain": name,
                "step": number,
                "steps": len(chain.steps),
                "kind": step.kind,
                "diagnosis": chain.diagnosis,
                "holds": chain.holds,
                "options": list(step.options),
                "right": list(step.right),
                "several": step.several,
            },
        )


def ordered(
    options: Sequence[str], right: Sequence[int], order: Sequence[int]
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Options in another order, and where the right ones stand then."""
    return tuple(options[n] for n in order), tuple(sorted(list(order).index(n) for n in right))
