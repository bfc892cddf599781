"""The endpoint as answerer, against a real local server: images in their places, none when blind, nothing asked twice."""

import base64

import numpy as np
import pytest

from anyecg import config
from anyecg.answerers.base import Fitting
from anyecg.answerers.endpoint import EndpointAnswerer
from anyecg.answerers.shown import MISSING, numbers, page
from anyecg.run import main
from anyecg.types import ConfigError
from tests.chat_server import ChatServer
from tests.conftest import SMALL


def images(body):
    parts = [
        part for message in body["messages"] for part in message["content"] if not isinstance(message["content"], str)
    ]
    return [part for part in parts if part["type"] == "image_url"]


def words(body):
    found = []
    for message in body["messages"]:
        content = message["content"]
        found += [content] if isinstance(content, str) else [part.get("text", "") for part in content]
    return "\n".join(found)


@pytest.fixture
def asked(small_data):
    """Two questions over several ECGs and two over one."""
    several = [
        small_data.questions[int(row)] for row in small_data.questions.select(split="test", task="multi_ecg")[:2]
    ]
    one = [small_data.questions[int(row)] for row in small_data.questions.select(split="test", task="localization")[:2]]
    return [*several, *one]


def answering(server, small_data, folder, **settings):
    experiment = config.load("experiments/baselines/endpoint.yaml", [*SMALL, f"cache={folder}"])
    cfg = EndpointAnswerer.Config(url=server.url, model="m", retries=0, **settings)
    answerer = EndpointAnswerer(cfg)
    answerer.fit(Fitting(experiment, None, small_data.stores, {}))
    return answerer


def test_each_ecg_is_an_image_in_its_place_and_none_is_sent_when_blind(small_data, asked, tmp_path):
    with ChatServer(lambda messages: "Report: Sinus rhythm") as server:
        answerer = answering(server, small_data, tmp_path)
        texts = [one.text for one in answerer.answer(asked, "signal")]
        assert texts == ["Report: Sinus rhythm"] * 4
        counts = sorted(len(images(body)) for body in server.requests)
        assert counts == sorted(len(one.records) for one in asked)
        assert all("<ecg>" not in words(body) and MISSING not in words(body) for body in server.requests)
        png = base64.b64decode(images(server.requests[0])[0]["image_url"]["url"].partition("base64,")[2])
        assert png.startswith(b"\x89PNG")
        before = len(server.requests)
        list(answerer.answer(asked, "blind"))
        assert not any(images(body) for body in server.requests[before:]) and MISSING in words(server.requests[-1])
        before = len(server.requests)
        again = answering(server, small_data, tmp_path)
        assert [one.text for one in again.answer(asked, "signal")] == texts and len(server.requests) == before  # kept
        assert again.key == answerer.key


def test_reports_of_several_ecgs_come_first_and_then_stand_beside_them(small_data, asked, tmp_path):
    with ChatServer(lambda messages: "Atrial flutter") as server:
        answerer = answering(server, small_data, tmp_path, reports_first=True, shows="statements")
        list(answerer.answer(asked[:1], "signal"))
        count = len(asked[0].records)
        *firsts, last = server.requests
        assert len({words(body) for body in firsts}) <= count and asked[0].evidence[0] in words(firsts[0])
        assert words(last).count("Report of this ECG: Atrial flutter") == count


def test_other_ways_to_show_an_ecg(small_data, asked, tmp_path):
    with ChatServer(lambda messages: "No.") as server:
        sent = {}
        for shows in ("numbers", "statements", "nothing"):
            list(
                answering(server, small_data, tmp_path, shows=shows, system="You read ECGs.").answer(
                    asked[-1:], "signal"
                )
            )
            sent[shows] = server.requests[-1]
        assert not any(images(body) for body in sent.values())
        assert "mV" in words(sent["numbers"]) and asked[-1].evidence[0] in words(sent["statements"])
        assert MISSING in words(sent["nothing"]) and sent["nothing"]["messages"][0]["role"] == "system"


def test_numbers_are_those_of_the_signal():
    fs, beats = 100.0, np.zeros((12, 1000), np.float32)
    beats[:2, 50::80] = 1.5
    text = numbers(beats, np.arange(12) < 2, fs)
    assert "ECG of 10.0 s" in text and "75 a minute" in text and "II +0.00 to +1.50" in text and "V1" not in text
    assert numbers(np.zeros((12, 100), np.float32), np.zeros(12, bool), fs) == MISSING


def test_a_page_is_drawn_for_any_leads_and_length():
    signal = np.random.default_rng(0).normal(size=(12, 3000)).astype(np.float32)
    shown = [
        page(signal[:, :samples], np.arange(12) < leads, 100.0) for leads, samples in ((12, 1000), (2, 3000), (1, 900))
    ]
    assert len(set(shown)) == 3 and all(one.startswith(b"\x89PNG") for one in shown)


def test_without_a_url_it_says_so_before_anything_is_asked(small_cache, tmp_path, capsys):
    command = ["experiments/baselines/endpoint.yaml", *SMALL, f"cache={small_cache}", f"output={tmp_path}", "evaluation.tasks=[localization]"]  # fmt: skip
    assert main(command) == 2 and "give its url and a model" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="shows"):
        EndpointAnswerer.Config(shows="film")
