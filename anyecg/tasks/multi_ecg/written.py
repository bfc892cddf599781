"""MultiECG written by an LLM: it is asked for questions and answers about a series of reports, and each pair is
checked.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from itertools import product
from pathlib import Path

from dateutil.parser import parse

from anyecg.data.store.store import Stores
from anyecg.endpoint import GARBLED, LATE, REFUSAL, Endpoint, Reply, Request
from anyecg.findings import BY_KEY, find
from anyecg.tasks.multi_ecg.build import make_sample
from anyecg.tasks.multi_ecg.series import ORDINALS, Histories, MultiECGConfig, Series
from anyecg.tasks.multi_ecg.templates import Asked
from anyecg.tasks.reply import without_thoughts
from anyecg.types import MARKER, SPLITS, DataError, ECGSample

WITHOUT = {  # what a request without a reply is counted as
    REFUSAL: "request that the endpoint refused",
    LATE: "request without a reply in time",
    GARBLED: "request without a chat completion",
}
LONGEST_QUESTION, LONGEST_ANSWER = 400, 800  # characters; of the released pairs 221 and 322

SYSTEM = (
    "You write questions and answers about a patient's ECGs. They will train and test a model that sees the ECGs "
    "themselves, not their reports."
)
PROMPT = """Below are the reports of {ecgs} ECGs of one patient, in order of time.

{reports}

Write {pairs} questions about these ECGs, each with its answer.
Ask about single ECGs, about what changes from one to another, about what stays, and about how things go over time.
- Answer from these reports alone. Name the findings, in the reports' words; add no causes, advice or predictions.
- Each question needs the ECGs to be answered, and does not give its answer away.
- Call an ECG by its place ("the first ECG"){dated}, and never mention that there are reports.
- An answer is one or two full sentences in English.

Reply with a JSON list and nothing else:
[{{"question": "...", "answer": "..."}}]"""
DATED = ' or by its date ("the ECG collected on {date}")'


def written_questions(
    stores: Stores, cfg: MultiECGConfig, seed: int, dropped: Counter, *, replies: Path
) -> Iterator[tuple[str, ECGSample]]:
    """(split, question) for series of ECGs (Dataset section, MultiECG), `cfg.questions_per_run` each, from
    `cfg.writer`.

    replies: the file that keeps what the endpoint said; the same replies give the same questions. A pair that fails a
    check of `fault` is dropped, and nothing takes its place. EndpointError where the endpoint is down or leaves
    many requests in a row without a reply (one or two are dropped and counted, as what it refuses is); DataError
    where series were asked about and not one pair can be used.
    """
    histories = [Histories(store) for store in stores]

    def series() -> Iterator[tuple[str, Series]]:
        return ((split, one) for history in histories for split in SPLITS for one in history.series(split, cfg, seed))

    total = sum(1 for _ in series())
    requests = (Request(messages(one, cfg.questions_per_run), about=(split, one)) for split, one in series())
    why, kept, refusal = Counter(), 0, ""
    for reply in Endpoint(cfg.writer, replies).ask(requests, total) if total else ():
        split, one = reply.request.about
        refusal = reply.error or refusal
        for number, asked in checked(reply, cfg.questions_per_run, why):
            kept += 1
            yield split, make_sample(one, f"multi_ecg/{one.id}/written/{number}", "written", asked)
    dropped.update({("multi_ecg", reason): count for reason, count in why.items()})
    if total and not kept:
        told = "; ".join(f"{reason.removeprefix('written: ')} ({count})" for reason, count in why.most_common())
        raise DataError(
            f"tasks.multi_ecg.writer: nothing that {cfg.writer.model} wrote about {total} series of ECGs can be used: "
            f"{told}"
            f"{f' (it says: {refusal})' if refusal else ''}; ask another model, or none (the questions are then made "
            f"by rules)"
        )


def messages(series: Series, pairs: int) -> tuple[dict[str, str], ...]:
    """The conversation that asks for so many pairs about a series: its reports stand where a question has its ECGs."""
    texts = iter(visit.report for visit in series.visits)
    reports = re.sub(MARKER, lambda _: next(texts), series.prompt("").strip())
    dates = [visit.date for visit in series.visits if visit.date]
    dated = DATED.format(date=dates[0]) if dates else ""
    asked = PROMPT.format(ecgs=len(series), reports=reports, pairs=pairs, dated=dated)
    return {"role": "system", "content": SYSTEM}, {"role": "user", "content": asked}


def checked(reply: Reply, pairs: int, why: Counter) -> Iterator[tuple[int, Asked]]:
    """(place, pair) for those of the first `pairs` of a reply that pass every check; `why` counts the others by
    reason.
    """
    if reply.error:
        why[f"written: {WITHOUT[reply.trouble]}"] += 1
        return
    series = reply.request.about[1]
    found = read_pairs(reply.text)
    if not found:
        why[
            "written: reply cut before its first pair"
            if reply.finish == "length"
            else "written: reply without a pair in JSON"
        ] += 1
    seen: set[str] = set()
    for number, (question, answer) in enumerate(found[:pairs]):
        problem = fault(question, answer, series) or ("question asked before" if question.casefold() in seen else "")
        if problem:
            why[f"written: {problem}"] += 1
            continue
        seen.add(question.casefold())
        asserts = find(answer)
        reference = {"findings": sorted(asserts), "absent": sorted(_mentioned(answer) - asserts)}
        yield number, Asked(question, answer, reference, asserts)


def read_pairs(text: str) -> list[tuple[str, str]]:
    """Every {"question": ..., "answer": ...} in a reply, whatever stands around it; commas too many are forgiven."""
    text = without_thoughts(text)
    text = re.sub(
        r'"(?:\\.|[^"\\])*"|,(?=\s*[}\]])', lambda part: part[0] if part[0] != "," else "", text, flags=re.DOTALL
    )
    decoder = json.JSONDecoder(strict=False)
    pairs, at = [], text.find("{")
    while at >= 0:
        end = at + 1  # what is no pair may hold one
        try:
            value, stop = decoder.raw_decode(text, at)
            if "question" in value:
                pairs.append((_line(value["question"]), _line(value.get("answer"))))
                end = stop
        except (ValueError, RecursionError):
            pass
        at = text.find("{", end)
    return pairs


def fault(question: str, answer: str, series: Series) -> str:
    """What is wrong with a pair, or nothing: it must be well formed, speak of this series' ECGs, and be grounded in
    its reports.
    """
    if len(question) > LONGEST_QUESTION or len(answer) > LONGEST_ANSWER:
        return "question or answer too long"
    if not _ASKING.search(question):
        return "question that asks nothing"
    if not answer:
        return "empty answer"
    if MARKER in question + answer:
        return f"{MARKER} in question or answer"
    if not _names_only(question, series) or not _names_only(answer, series):
        return "ECG, date or interval that the series does not have"
    if not _mentioned(answer):
        return "answer that names no finding"
    # A question may ask in vain about a finding that its answer then denies; one that the answer passes over was taken
    # for granted.
    if not find(answer) | find(question) - _mentioned(answer) <= {
        finding for visit in series.visits for finding in visit.findings
    }:
        return "finding that no report of the series states"
    return ""


_TASKS = (
    "analy[sz]e",
    "assess",
    "characteri[sz]e",
    "compare",
    "contrast",
    "describe",
    "determine",
    "discuss",
    "enumerate",
    "evaluate",
    "explain",
    "give",
    "identify",
    "interpret",
    "list",
    "name",
    "outline",
    "provide",
    "report",
    "specify",
    "state",
    "summari[sz]e",
    "tell",
    "trace",
)
_ASKING = re.compile(rf"\w.*\?[\"')]*$|(?:^|[.:,]\s+)(?:please\s+)?(?:{'|'.join(_TASKS)})\s+\w", re.IGNORECASE)

_ECG = r"(?:ECGs?|EKGs?|electrocardiograms?|recordings?|tracings?)"
_AND = r"(?:\s*(?:,|&|-|–|\band\b|\bor\b|\bto\b|\bthrough\b))+\s*"
_PLACES = {name: k for k, name in enumerate((*ORDINALS, "seventh", "eighth", "ninth", "tenth"), start=1)}
_PLACE = rf"(?:{'|'.join(_PLACES)}|\d{{1,2}}(?:st|nd|rd|th))"
_ORDINAL = re.compile(rf"\b({_PLACE}(?:{_AND}{_PLACE})*)\s+{_ECG}\b", re.IGNORECASE)
_NUMBERED = re.compile(
    rf"\b{_ECG}\s*(?:#|no\.?|number)?\s*((?>\d{{1,2}}(?:{_AND}#?\d{{1,2}})*))\b"
    r"(?![-–/.]\d|[\s–-]*(?:lead|hour|day|week|month|year))", re.IGNORECASE
)  # fmt: skip
_COUNTS = {
    name: k for k, name in enumerate(("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), start=2)
}
_COUNT = re.compile(
    rf"(?<![\w.,/–-])({'|'.join(_COUNTS)}|\d{{1,2}})\s+(?:(?!lead)\w+\s+)?(?:ECGs|EKGs|electrocardiograms|recordings"
    rf"|tracings)\b", re.IGNORECASE
)  # fmt: skip
_DAYS = re.compile(r"(?<![\w.,])(\d[\d,]*)[\s-]days?\b", re.IGNORECASE)
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_DATE = re.compile(
    r"\b(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}"
    rf"|{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}}|\d{{1,2}}(?:st|nd|rd"
    rf"|th)?\s+(?:of\s+)?{_MONTH},?\s+\d{{4}})\b", re.IGNORECASE
)  # fmt: skip


def _names_only(text: str, series: Series) -> bool:
    """Whether every ECG, count of ECGs, date and number of days in a text is one of the series."""
    places = [
        _PLACES.get(word.lower()) or int(word[:-2])
        for run in _ORDINAL.findall(text)
        for word in re.findall(_PLACE, run, re.IGNORECASE)
    ]
    places += [int(digits) for run in _NUMBERED.findall(text) for digits in re.findall(r"\d+", run)]
    counts = [_COUNTS.get(word.lower()) or int(word) for word in _COUNT.findall(text)]
    days = {date.fromisoformat(visit.date) for visit in series.visits if visit.date}
    apart = {abs((one - other).days) for one, other in product(days, days)}
    return (
        all(1 <= place <= len(series) for place in places)
        and all(count <= len(series) for count in counts)
        and all(int(number.replace(",", "")) in apart for number in _DAYS.findall(text))
        and all(_day(said) in days for said in _DATE.findall(text))
    )


def _day(text: str) -> date | None:
    """The date of a text; None where the calendar has no such day."""
    try:
        return parse(text).date()
    except (ValueError, OverflowError):
        return None


def _mentioned(text: str) -> frozenset[str]:
    """Findings named in a text, asserted or denied."""
    return frozenset(key for key, finding in BY_KEY.items() if finding.pattern.search(text))


def _line(value: object) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""
