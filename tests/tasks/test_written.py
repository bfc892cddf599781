"""MultiECG written by an LLM: what is read from a reply, what passes, and a build that goes on where it stopped."""

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from anyecg.config.schema import Slot
from anyecg.endpoint import Endpoint, EndpointConfig, EndpointError, Request
from anyecg.findings import find
from anyecg.tasks.build import build_data
from anyecg.tasks.multi_ecg.series import Histories, Series, Visit
from anyecg.tasks.multi_ecg.task import HIGHEST, MultiECG
from anyecg.tasks.multi_ecg.written import fault, messages, read_pairs
from anyecg.types import MARKER, SPLITS, ConfigError, DataError, Prediction
from tests.building import build, only
from tests.chat_server import ChatServer


def visit(day, report):
    return Visit("r", 10.0, day, report, tuple(sorted(find(report))))


SERIES = Series("p/0-2", "p", (
    visit("2168-12-11", "Sinus bradycardia, Low QRS voltages"), visit("2168-12-15", "Atrial fibrillation, Possible left atrial abnormality"),
    visit("2170-01-02", "Sinus rhythm, Normal ECG")))  # fmt: skip
UNDATED = Series("u/0-1", "u", (visit("", "Sinus rhythm"), visit("", "Sinus rhythm, PVC(s)")))

PAIR = '{"question": "What is new?", "answer": "A \\"PVC\\", first"}'
READ = ("What is new?", 'A "PVC", first')


@pytest.mark.parametrize(("text", "pairs"), [
    (f"[{PAIR}, {PAIR}]", 2), (f"```json\n[\n{PAIR},\n{PAIR},\n]\n```", 2), (f"Sure! Here they are:\n{PAIR}\n\n{PAIR}\nEnjoy.", 2),
    (f'{{"pairs": [{PAIR}]}}', 1), (PAIR[:-1] + ",}", 1), (f'[{PAIR}, {{"question": "Is it cut', 1), (f'{{not JSON}} {{{{ [{PAIR}', 1),
    (f"<think>[{PAIR}] or so</think>[{PAIR}]", 1), (PAIR.replace(", first", ",\nfirst"), 1), ("", 0), ("I cannot help with that.", 0), ("[]", 0),
    ("__import__('os').system('true')", 0), ('{"a":' * 5_000, 0), ("[" * 50_000, 0), ('[["What is new?", "PVC"]]', 0)])  # fmt: skip
def test_pairs_are_read_from_whatever_stands_around_them(text, pairs):
    assert read_pairs(text) == [READ] * pairs


def test_what_is_no_text_is_empty():
    assert read_pairs('[{"question": ["a"], "answer": 3}, {"question": "Why?"}]') == [("", ""), ("Why?", "")]


@pytest.mark.parametrize(("question", "answer", "problem"), [
    ("What are the key findings from the first ECG collected on 2168-12-11?", "The first ECG shows sinus bradycardia and low QRS voltages.", ""),
    ("Compare the first and third ECGs", "The third ECG shows sinus rhythm in place of sinus bradycardia.", ""),
    ("The ECGs were taken 4 days apart. What is new?", "After 4 days there is atrial fibrillation.", ""),
    ("Is there a PVC in any of the three ECGs?", "No, there is no PVC in any of the ECGs.", ""),
    ("What has gone by January 2, 2170?", "The ECG of 2 January 2170 no longer shows atrial fibrillation, 383 days after ECG 2.", ""),
    ("Describe ECG #3, a 12-lead ECG.", "On 2170-01-02 all ECGs before are abnormal no longer: sinus rhythm, a normal ECG.", ""),
    ("In ECGs 1-3, or ECGs 1 and 2, what is the rhythm?", "Sinus bradycardia, then atrial fibrillation.", ""),
    ("", "Sinus rhythm.", "question that asks nothing"), ("?", "Sinus rhythm.", "question that asks nothing"),
    ("The first ECG shows sinus bradycardia.", "Sinus bradycardia.", "question that asks nothing"), ("What is it?", "", "empty answer"),
    ("What is it?", "Sinus rhythm. " * 60, "question or answer too long"), ("Why? " * 90, "Sinus rhythm.", "question or answer too long"),
    ("What is <ecg>?", "Sinus rhythm.", "<ecg> in question or answer"), ("What is it?", "Sinus rhythm <ecg>.", "<ecg> in question or answer"),
    ("What does the fourth ECG show?", "Sinus rhythm.", "ECG, date"), ("What do the second, fourth and third ECGs show?", "Sinus rhythm.", "ECG, date"),
    ("What does ECG 4 show?", "Sinus rhythm.", "ECG, date"), ("What is it?", "ECG 0 shows sinus rhythm.", "ECG, date"), ("And the 7th ECG?", "Sinus rhythm.", "ECG, date"),
    ("What do the five ECGs show?", "Sinus rhythm.", "ECG, date"), ("What do ECGs 2 to 5 show?", "Sinus rhythm.", "ECG, date"),
    ("What is seen on 2168-12-12?", "Sinus rhythm.", "ECG, date"), ("What is seen on December 12th, 2168?", "Sinus rhythm.", "ECG, date"),
    ("What is seen on 2168-13-45?", "Sinus rhythm.", "ECG, date"), ("What is new after 5 days?", "Atrial fibrillation.", "ECG, date"),
    ("What is new after 1,387 days?", "Atrial fibrillation.", "ECG, date"), ("What now?", "The patient needs closer monitoring.", "answer that names no finding"),
    ("What is new?", "The second ECG newly shows atrial flutter.", "finding that no report"),
    ("What is new?", "Sinus bradycardia, with left bundle branch block.", "finding that no report"),
    ("What does the left bundle branch block come with?", "It comes with atrial fibrillation.", "finding that no report"),
])  # fmt: skip
def test_a_pair_is_well_formed_and_grounded_in_its_series(question, answer, problem):
    found = fault(question, answer, SERIES)
    assert found.startswith(problem) and bool(found) == bool(problem)


def test_a_series_without_dates_has_no_dates_to_name():
    assert not fault("What is new in the second ECG?", "The second ECG newly shows PVCs.", UNDATED)
    assert fault("What is new after 4 days?", "PVCs.", UNDATED) and fault(
        "What is new on 2168-12-15?", "PVCs.", UNDATED
    )


def test_the_prompt_has_the_reports_in_order_with_their_dates():
    text = messages(SERIES, 8)[-1]["content"]
    assert (
        "ECG 1 (2168-12-11): Sinus bradycardia, Low QRS voltages\nECG 2 (2168-12-15, 4 days after the first): Atrial "
        "fibrillation" in text
    )
    assert (
        "Write 8 questions" in text
        and "reports of 3 ECGs" in text
        and 'by its date ("the ECG collected on 2168-12-11")' in text
    )
    assert "date" not in messages(UNDATED, 4)[-1]["content"] and MARKER not in text


def writer(asked):
    """An LLM that writes one good pair, one that denies, and four with a fault each, from the reports in its prompt."""
    reports = re.findall(r"^ECG \d.*?\): (.*)", asked[-1]["content"], re.MULTILINE)
    here = find(", ".join(reports))
    absent = next(
        name for name in ("PVC", "atrial flutter", "low QRS voltage", "inferior infarct") if not find(name) <= here
    )
    return "Here you are:\n" + json.dumps([
        {"question": "What does the first ECG show?", "answer": f"The first ECG shows {reports[0]}."},
        {"question": f"Does any ECG show {absent}?", "answer": f"No ECG shows {absent}."},
        {"question": "What is new?", "answer": f"The second ECG newly shows {absent}."},
        {"question": "What does the ninth ECG show?", "answer": f"It shows {reports[0]}."},
        {"question": "WHAT does the first ECG show?", "answer": f"The first ECG shows {reports[0]}."},
        {"question": "What next?", "answer": "A visit to the doctor."},
        {"question": "What does the second ECG show?", "answer": f"One pair more than asked for: {reports[1]}."}])  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def stores(cache):
    simulated = {"mimic": Slot.of("corpus", "mimic", patients=60, seed=3)}
    return build_data(simulated, only(multi_ecg={}), cache, seed=0, workers=1, progress=False).stores


def config(url, **settings):
    endpoint = {"url": url, "model": "llama", "timeout": 5, "retries": 0} | settings
    return only(multi_ecg={"questions_per_run": 6, "writer": EndpointConfig(**endpoint)})


def dropped(path):
    return Counter({row["why"]: row["count"] for row in json.loads(path.with_suffix(".json").read_text())["dropped"]})


def test_questions_of_an_llm(stores, tmp_path):
    with ChatServer(writer) as server:
        questions = build(stores, config(server.url), tmp_path / "q.arrow")
        series = len(server.requests)
        assert 30 < series < len(questions) and sorted(path.name for path in tmp_path.iterdir()) == [
            "q.arrow",
            "q.json",
            "replies.sqlite",
        ]
    samples, splits = list(questions), dict(zip(questions.column("id"), questions.column("split")))
    assert len(splits) == len(samples) and all(
        re.fullmatch(r"multi_ecg/mimic/.*/\d+-\d+/written/[01]", sample.id) for sample in samples
    )
    assert {sample.meta["kind"] for sample in samples} == {"written"}
    for history in (Histories(store) for store in stores):
        for split in ("train", "val", "test"):
            patients = {one.patient for one in history.series(split, config("http://h/v1")["multi_ecg"].config, 0)}
            assert patients >= {sample.patient for sample in samples if splits[sample.id] == split} != set()
    first = [sample for sample in samples if sample.id.endswith("/0")]
    assert all(sample.answer == f"The first ECG shows {sample.evidence[0]}." for sample in first)
    assert all(sample.conversation[0].text.endswith("\nWhat does the first ECG show?") for sample in first)
    why = dropped(tmp_path / "q.arrow")
    assert (
        why["written: finding that no report of the series states"]
        == series
        == sum("/1" in sample.id[-2:] for sample in samples)
    )
    assert why["written: ECG, date or interval that the series does not have"] == series
    # a first report that says nothing of the vocabulary (then its double has the same fault)
    assert why["written: answer that names no finding"] == series + 2 * (series - len(first)) and why[
        "written: question asked before"
    ] == len(first)
    assert sum(why.values()) + len(samples) == 6 * series


def test_the_judge_reads_what_an_llm_wrote(stores, tmp_path):
    with ChatServer(writer) as server:
        samples = list(build(stores, config(server.url), tmp_path / "q.arrow"))
    task = MultiECG()
    rows = task.score(samples, [Prediction(sample.id, sample.answer) for sample in samples])
    assert (rows["score"] == HIGHEST).all() and rows["parsed"].all() and not task.notes(rows)
    for sample in samples:
        reference = sample.meta["reference"]
        assert task.parse(sample.answer, sample) == {("shows", key) for key in reference["findings"]} | {
            ("absent", key) for key in reference["absent"]
        }
    denial = next(sample for sample in samples if sample.id.endswith("/1"))
    for text in ("", "Yes.", denial.answer.replace("No", "The first"), "The second ECG shows sinus rhythm."):
        assert task.score([denial], [Prediction(denial.id, text)])["score"][0] == 0
    assert (
        task.score([denial], [Prediction(denial.id, denial.answer + " No ECG shows right axis deviation.")])["score"][0]
        == HIGHEST
    )


def test_a_build_whose_endpoint_dies_goes_on_to_the_same_bytes(stores, tmp_path):
    with ChatServer(writer) as server:
        whole = build(stores, config(server.url), tmp_path / "whole.arrow")
        series = len(server.requests)
    (tmp_path / "again").mkdir()
    path = tmp_path / "again" / "q.arrow"
    with ChatServer(writer, act=lambda number, body: 503 if number >= 20 else None) as server:
        with pytest.raises(
            EndpointError,
            match=rf"\d+ of {series} requests are answered and kept in {path.parent / 'replies.sqlite'}; give the same command",
        ):
            build(stores, config(server.url, concurrency=2), path)
    assert not path.exists()
    with ChatServer(writer) as server:
        build(stores, config(server.url), path)
        assert len(server.requests) <= series - 18
    # from the replies alone
    assert [row for row in build(stores, config("http://127.0.0.1:9/v1"), path)] == list(  # noqa: C416
        whole
    )
    built = path.read_bytes()
    build(stores, config("http://127.0.0.1:9/v1"), path)
    assert path.read_bytes() == built


def test_replies_that_cannot_be_used_are_an_error_of_one_message(stores, tmp_path):
    with ChatServer(lambda asked: "I am sorry, but as a language model") as server:
        with pytest.raises(
            DataError,
            match=r"nothing that llama wrote about \d+ series of ECGs can be used: reply without a pair in JSON \(\d+\); ask another",
        ):
            build(stores, config(server.url), tmp_path / "q.arrow")
    assert not (tmp_path / "q.arrow").exists()


def test_one_good_reply_is_enough_and_the_others_are_counted(stores, tmp_path):
    bodies = {0: None, 1: 413, 2: b'{"choices": [{"message": {"content": "[{"}, "finish_reason": "length"}]}'}
    with ChatServer(
        writer, act=lambda number, body: bodies.get(number, b'{"choices": [{"message": {"content": "?"}}]}')
    ) as server:
        questions = build(stores, config(server.url, concurrency=1), tmp_path / "q.arrow")
        series = len(server.requests)
    why = dropped(tmp_path / "q.arrow")
    assert (
        1 <= len(questions) <= 2
        and why["written: request that the endpoint refused"] == why["written: reply cut before its first pair"] == 1
    )
    assert why["written: reply without a pair in JSON"] == series - 3


def test_requests_without_a_reply_are_dropped_and_counted(stores, tmp_path):
    bodies = {3: "hang", 8: b'{"choices": []}', 9: b"<html>busy</html>"}
    with ChatServer(writer, act=lambda number, body: bodies.get(number), pause=3) as server:
        questions = build(stores, config(server.url, concurrency=1, timeout=0.7), tmp_path / "q.arrow")
    why = dropped(tmp_path / "q.arrow")
    assert (
        len(questions) > 20
        and why["written: request without a reply in time"] == 1
        and why["written: request without a chat completion"] == 2
    )


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(url, model, stop) of SmolLM2 behind `transformers serve`, offline, on a free port."""
    from anyecg.llms.smollm2 import convert

    folder = tmp_path_factory.mktemp("llm") / "smollm2"
    try:
        convert(folder)
    except ConfigError as error:
        pytest.skip(str(error))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        Path(sys.executable).with_name("transformers"),
        "serve",
        folder,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--device",
        "cpu",
    ]
    told = folder.with_name("log")
    with told.open("w") as log:
        server = subprocess.Popen(
            command, env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"}, stdout=log, stderr=log
        )

    def stop():
        server.kill()
        server.wait()

    try:
        deadline = time.monotonic() + 300
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < deadline, told.read_text()[-2000:]
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1", str(folder), stop
    finally:
        stop()


@pytest.mark.slow
def test_a_real_server(served, tmp_path):
    """SmolLM2 (135 M parameters) seldom writes a pair that passes: what counts is that all it says is kept, read,
    checked and counted.
    """
    url, model, stop = served
    simulated = {"mimic": Slot.of("corpus", "mimic", patients=4, seed=3)}
    stores = build_data(simulated, only(multi_ecg={}), tmp_path, seed=0, workers=1, progress=False).stores
    llm = EndpointConfig(url=url, model=model, concurrency=2, timeout=300, retries=1, max_tokens=60)
    slots = only(multi_ecg={"runs_per_patient": 1, "questions_per_run": 2, "writer": llm})
    cfg = slots["multi_ecg"].config
    series = [one for store in stores for split in SPLITS for one in Histories(store).series(split, cfg, 0)]
    path = tmp_path / "written" / "q.arrow"
    capital = [Request(({"role": "user", "content": "What is the capital of France?"},))]

    def outcome():
        said = next(Endpoint(llm, path.with_name("replies.sqlite")).ask(capital, progress=False)).text
        try:
            questions = list(build(stores, slots, path))
            return said, questions, dropped(path)
        except DataError as error:
            return (
                said,
                [],
                Counter({why: int(count) for why, count in re.findall(r"(?:: |; )([^;:]*?) \((\d+)\)", str(error))}),
            )

    said, questions, why = outcome()
    stop()
    assert outcome() == (said, questions, why)  # no request is made: the server has gone
    assert "Paris" in said
    with sqlite3.connect(path.with_name("replies.sqlite")) as file:
        replies = [text for (text,) in file.execute("SELECT text FROM replies")]
    assert len(replies) == len(series) + 1 > 3 and all(replies)
    assert len(questions) + sum(why.values()) == sum(len(read_pairs(text)[:2]) or 1 for text in replies if text != said)
    task = MultiECG()
    assert all(
        task.score([sample], [Prediction(sample.id, sample.answer)])["score"][0] == HIGHEST for sample in questions
    )
