"""An LLM judge behind any OpenAI-compatible endpoint: it assesses each answer and gives a number for each criterion of
the task's rubric (one from 0 to 5 in Table 6).
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from anyecg import endpoint
from anyecg.config.fingerprint import fingerprint
from anyecg.endpoint import Endpoint, EndpointConfig, Reply, Request
from anyecg.evaluation.score_parser import CUT, EMPTY, HIGHEST, LOWEST, read_score
from anyecg.files import atomic_write
from anyecg.tasks.reply import without_thoughts

log = logging.getLogger(__name__)
Case = TypeVar("Case", bound=Hashable)

REPLIES = "judge.sqlite"  # every reply of the endpoint, kept as it comes
JUDGEMENTS = "judgements.jsonl"  # what became of each answer, written when all are judged

# Why an answer has no score, beside what `read_score` finds.
REFUSED, LATE, GARBLED = "request refused by the endpoint", "no reply in time", "no chat completion"
NO_REPORT = "ECG without a report to judge by"


@dataclass(frozen=True)
class Verdict:
    """What a judge made of one answer by one criterion: a score, or None and why there is none; what it wrote in each
    turn.
    """

    score: float | None
    unjudged: str = ""
    assessment: str = ""
    reply: str = ""


class Judge:
    """The judge of one run: replies and verdicts are kept in the run's folder, so nothing is asked twice.

    Two turns an answer and criterion, as the paper's: the question with each ECG's report and the answer, to which the
    judge writes an assessment, once for all criteria; then that conversation with a request for the number alone.
    Killed, or stopped by an endpoint that went down (EndpointError), the same call goes on from the replies in
    `judge.sqlite`. Once all are judged, `judgements.jsonl` holds the verdicts, those without a score too; delete it to
    have these asked again.
    """

    def __init__(self, cfg: EndpointConfig, folder: Path | str, progress: bool = True) -> None:
        self.cfg, self.folder, self.progress = cfg, Path(folder), progress
        self.endpoint = Endpoint(cfg, self.folder / REPLIES)

    def __call__(
        self, cases: Mapping[Case, tuple[str, str] | None], scale: tuple[float, float] = (LOWEST, HIGHEST)
    ) -> dict[Case, Verdict]:
        """A verdict for each case; cases: whatever names it -> the judge's two turns, None where there is no report;
        scale: the least and the greatest score, within 0 to 5.
        """
        keys = {case: fingerprint(self.cfg.sampling(), turns, length=64) for case, turns in cases.items() if turns}
        verdicts = self._kept()
        left = {key: cases[case] for case, key in keys.items() if key not in verdicts}
        if left:
            verdicts |= self._asked(left, scale)
            self._keep({key: verdicts[key] for key in keys.values()})
        return {case: verdicts[keys[case]] if turns else Verdict(None, NO_REPORT) for case, turns in cases.items()}

    def _asked(self, turns: Mapping[str, tuple[str, str]], scale: tuple[float, float]) -> dict[str, Verdict]:
        verdicts, assessed = {}, {}
        openings = [Request(({"role": "user", "content": first},), about=key) for key, (first, _) in turns.items()]
        for reply in self._replies(openings):
            key, text = reply.request.about, without_thoughts(reply.text).strip()
            if text:
                assessed[key] = text
            else:
                verdicts[key] = Verdict(None, _missing(reply))
        closings = [
            Request(
                (
                    {"role": "user", "content": turns[key][0]},
                    {"role": "assistant", "content": text},
                    {"role": "user", "content": turns[key][1]},
                ),
                about=key,
            )
            for key, text in assessed.items()
        ]
        for reply in self._replies(closings):
            key = reply.request.about
            score, why = (None, _missing(reply)) if reply.error else _score(reply, *scale)
            verdicts[key] = Verdict(score, why, assessed[key], reply.text)
        return verdicts

    def _replies(self, requests: list[Request]) -> Iterable[Reply]:
        return self.endpoint.ask(requests, len(requests), self.progress) if requests else ()

    def _kept(self) -> dict[str, Verdict]:
        """Fingerprint -> verdict of an earlier call; a line that cannot be read is judged again, from the replies."""
        path, found = self.folder / JUDGEMENTS, {}
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                key = row.pop("asked")
                found[key] = Verdict(**row)
            except (ValueError, KeyError, TypeError, AttributeError):
                log.warning("%s, line %d: not a judgement; it is judged again", path, number)
        return found

    def _keep(self, verdicts: Mapping[str, Verdict]) -> None:
        with atomic_write(self.folder / JUDGEMENTS) as part:
            part.write_text(
                "".join(
                    json.dumps({"asked": key, **asdict(verdict)}) + "\n" for key, verdict in sorted(verdicts.items())
                ),
                encoding="utf-8",
            )


def _score(reply: Reply, lowest: float, highest: float) -> tuple[float | None, str]:
    """The number of a reply on a scale from `lowest` to `highest`, or None and why there is none."""
    ends = rf"\b{lowest:g}(?:\.0)?(\s*(?:-|–|to|and)\s*){highest:g}(?:\.0)?\b"  # the scale's own name is no score
    text = re.sub(ends, rf"{LOWEST:g}\g<1>{HIGHEST:g}", reply.text)
    score, why = read_score(text, reply.finish == "length")
    if score is not None and not lowest <= score <= highest:
        return None, f"number outside {lowest:g} to {highest:g}"
    return score, why


def _missing(reply: Reply) -> str:
    """Why a reply has no text."""
    if reply.error:
        return {endpoint.LATE: LATE, endpoint.GARBLED: GARBLED}.get(reply.trouble, REFUSED)
    return CUT if reply.finish == "length" else EMPTY
