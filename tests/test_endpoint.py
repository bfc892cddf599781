"""The endpoint's client: nothing is asked twice, whatever the server does, and the key stays where it is."""

import re
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from anyecg.endpoint import GARBLED, HOPELESS, LATE, Endpoint, EndpointConfig, EndpointError, Request
from anyecg.types import ConfigError, DataError
from tests.chat_server import ChatServer


def requests(count):
    return [Request(({"role": "user", "content": f"question {number}"},), about=number) for number in range(count)]


def shout(messages):
    return messages[-1]["content"].upper()


def endpoint(server, folder, **settings):
    return Endpoint(
        EndpointConfig(**{"url": server.url, "model": "m", "concurrency": 4, "timeout": 5, "retries": 2} | settings),
        folder / "replies.sqlite",
    )


def texts(client, count):
    return [reply.text for reply in client.ask(requests(count), count, progress=False)]


def kept(folder):
    with sqlite3.connect(folder / "replies.sqlite") as file:
        return file.execute("SELECT count(*) FROM replies").fetchone()[0]


def test_replies_come_in_order_and_are_asked_for_once(tmp_path):
    with ChatServer(shout) as server:
        client = endpoint(server, tmp_path, max_tokens=7, seed=3)
        replies = list(client.ask(requests(50), progress=False))
        assert [reply.text for reply in replies] == [f"QUESTION {number}" for number in range(50)]
        assert [reply.request.about for reply in replies] == list(range(50))
        assert {(reply.finish, reply.error, reply.cached) for reply in replies} == {("stop", "", False)}
        sent = server.requests[0]
        assert {name: sent[name] for name in ("model", "temperature", "max_tokens", "seed")} == {
            "model": "m",
            "temperature": 0.0,
            "max_tokens": 7,
            "seed": 3,
        }
        list(endpoint(server, tmp_path, max_tokens=8, seed=None).ask(requests(1), progress=False))
        assert len(server.requests) == 51 and "seed" not in server.requests[50]  # other sampling: another reply
    again = list(client.ask(requests(50), progress=False))  # the server has gone
    assert [reply.text for reply in again] == [reply.text for reply in replies] and all(reply.cached for reply in again)
    moved = EndpointConfig(url="http://127.0.0.1:9/v1", model="m", max_tokens=7, seed=3)
    assert texts(Endpoint(moved, tmp_path / "replies.sqlite"), 50) == [reply.text for reply in replies]


def test_so_many_at_once_and_the_same_one_once(tmp_path):
    with ChatServer(shout, act=lambda number, body: "hang", pause=0.1) as server:
        same = [Request(({"role": "user", "content": f"question {number % 6}"},)) for number in range(18)]
        replies = [reply.text for reply in endpoint(server, tmp_path, concurrency=3).ask(same, progress=False)]
        assert replies == [f"QUESTION {number % 6}" for number in range(18)]
        assert len(server.requests) == 6 and server.most_at_once == 3


@pytest.mark.parametrize("trouble", [429, 500, 503, "cut", "hang"])
def test_trouble_that_passes_is_waited_out(tmp_path, trouble):
    with ChatServer(shout, act=lambda number, body: trouble if number in (0, 2) else None) as server:
        assert texts(endpoint(server, tmp_path, timeout=0.5), 8) == [f"QUESTION {number}" for number in range(8)]
        assert len(server.requests) == 10


@pytest.mark.parametrize(("trouble", "told"), [
    (503, "503"), (429, "429"), ("cut", r"cannot be reached: .*\(tries: 1\)"), ("hang", r"\d+ requests in a row stayed without a reply: no reply within 1 s"),
    (b"<html>gateway</html>", r"\d+ requests in a row got no chat completion: .*gateway"),
    (b'{"choices": []}', "no chat completion"), (b'{"choices": [{"message": {"content": [1]}}]}', "no chat completion")])  # fmt: skip
def test_a_server_that_dies_half_way_is_told_and_continued(tmp_path, trouble, told):
    with ChatServer(shout, act=lambda number, body: trouble if number >= 10 else None) as server:
        with pytest.raises(EndpointError, match=told) as caught:
            texts(endpoint(server, tmp_path, timeout=1, retries=0), 60)
        assert (
            server.url in str(caught.value) and "(model m)" in str(caught.value) and "same command" in str(caught.value)
        )
    before = kept(tmp_path)
    assert f"{before} of 60 requests are answered and kept in {tmp_path / 'replies.sqlite'}" in str(caught.value)
    assert 10 - 3 <= before <= 10  # those under way are lost with the server
    with ChatServer(shout) as server:
        assert texts(endpoint(server, tmp_path), 60) == [f"QUESTION {number}" for number in range(60)]
        assert len(server.requests) == 60 - before


@pytest.mark.parametrize(
    ("trouble", "kind"), [("hang", LATE), (b'{"choices": []}', GARBLED), (b"<html>busy</html>", GARBLED)]
)
def test_a_request_that_never_gets_a_reply_costs_only_itself(tmp_path, trouble, kind):
    """However many they are, as long as others between them are answered; the same command asks for them again."""
    with ChatServer(
        shout,
        act=lambda number, body: trouble if body["messages"][0]["content"].endswith(("3", "7")) else None,
        pause=2,
    ) as server:
        replies = list(endpoint(server, tmp_path, timeout=0.3, retries=0).ask(requests(6 * HOPELESS), progress=False))
    lost = [reply.request.about for reply in replies if reply.error]
    assert lost == [number for number in range(6 * HOPELESS) if number % 10 in (3, 7)] and len(lost) > HOPELESS
    assert {reply.trouble for reply in replies} == {"", kind} and kept(tmp_path) == 6 * HOPELESS - len(lost)
    with ChatServer(shout) as server:
        assert len(texts(endpoint(server, tmp_path), 6 * HOPELESS)) == 6 * HOPELESS and len(server.requests) == len(
            lost
        )


def test_an_endpoint_that_leaves_all_without_a_reply_is_told_however_few_they_are(tmp_path):
    with ChatServer(act=lambda number, body: b"<html>hello</html>") as server:
        with pytest.raises(
            EndpointError,
            match="every one of the first 3 requests got no chat completion: what it sends is no chat completion .its url ends",
        ):
            texts(endpoint(server, tmp_path), 3)


ASKING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits that it is ignored
from pathlib import Path
from anyecg.cli.terminal import guarded
from tests.test_endpoint import Endpoint, EndpointConfig, requests
client = Endpoint(EndpointConfig(url=sys.argv[1], model="m", concurrency=4), Path(sys.argv[2]))
sys.exit(guarded(lambda: print(len(list(client.ask(requests(60), 60))))))
"""


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_killed_or_interrupted_it_goes_on(tmp_path, sign):
    with ChatServer(shout, act=lambda number, body: "hang", pause=0.5) as server:
        asking = subprocess.Popen(
            [sys.executable, "-c", ASKING, server.url, tmp_path / "replies.sqlite"], stderr=subprocess.PIPE, text=True
        )
        while len(server.requests) < 20 and asking.poll() is None:
            time.sleep(0.01)
        asking.send_signal(sign)
        told = asking.communicate(timeout=60)[1]
        assert asking.returncode == (130 if sign == signal.SIGINT else -sign), told
        assert ("The same command goes on" in told) == (sign == signal.SIGINT) and "Traceback" not in told
        before, asked = kept(tmp_path), len(server.requests)
        assert 16 <= before <= asked < 60
        assert texts(endpoint(server, tmp_path), 60) == [f"QUESTION {number}" for number in range(60)]
        assert len(server.requests) == asked + 60 - before


def test_whoever_stops_reading_keeps_what_was_read(tmp_path):
    with ChatServer(shout) as server:
        replies = endpoint(server, tmp_path, concurrency=2).ask(requests(1000), progress=False)
        assert [next(replies).text for _ in range(3)] == ["QUESTION 0", "QUESTION 1", "QUESTION 2"]
        replies.close()
        assert 3 <= kept(tmp_path) <= len(server.requests) < 20


def test_a_request_that_is_refused_is_told_and_the_others_go_on(tmp_path):
    with ChatServer(
        shout, act=lambda number, body: 400 if body["messages"][0]["content"].endswith(" 3") else None
    ) as server:
        replies = list(endpoint(server, tmp_path).ask(requests(10), progress=False))
        assert (
            [reply.request.about for reply in replies if reply.error] == [3]
            and "told to fail" in replies[3].error
            and not replies[3].text
        )
        assert len(server.requests) == 10
        list(endpoint(server, tmp_path).ask(requests(10), progress=False))
        assert len(server.requests) == 11  # it alone is asked again


def test_requests_that_are_all_refused_are_not_the_requests_fault(tmp_path):
    with ChatServer(shout, act=lambda number, body: 422) as server:
        with pytest.raises(EndpointError, match=f"every one of the first {HOPELESS} requests was refused"):
            texts(endpoint(server, tmp_path), 500)
        assert len(server.requests) < HOPELESS + 16


@pytest.mark.parametrize(("status", "key", "told"), [
    (401, "sk-very-secret", "does not accept the key in the environment variable MY_KEY"), (403, "", "asks for a key: set the environment variable MY_KEY"),
    (404, "sk-very-secret", "404"), (400, "sk-very-secret", "told to fail; the key was Bearer \\*\\*\\*")])  # fmt: skip
def test_the_key_is_sent_and_never_told(tmp_path, monkeypatch, caplog, status, key, told):
    monkeypatch.setenv("MY_KEY", key)
    with ChatServer(shout, act=lambda number, body: status) as server, caplog.at_level("DEBUG"):
        with pytest.raises(EndpointError, match=told) as caught:
            texts(endpoint(server, tmp_path, key_env="MY_KEY"), HOPELESS)
        assert server.keys[0] == f"Bearer {key or 'none'}"
        assert status == 400 or len(server.requests) <= 16
    with ChatServer(shout) as server:
        texts(endpoint(server, tmp_path, key_env="MY_KEY"), 3)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir()).decode(errors="replace")
    assert "QUESTION" in written and "0 of 20 requests" in str(caught.value)
    assert not any("sk-very-secret" in text for text in (str(caught.value), caplog.text, written))


def test_texts_that_no_file_could_hold(tmp_path):
    bodies = [
        b'{"choices": [{"message": {"content": null}, "finish_reason": "length"}]}',
        b'{"choices": [{"message": {"content": "a\\ud800\\u0000b"}}]}',
    ]
    with ChatServer(act=lambda number, body: bodies[number]) as server:
        client = endpoint(server, tmp_path, concurrency=1)
        assert [(reply.text, reply.finish) for reply in client.ask(requests(2), progress=False)] == [
            ("", "length"),
            ("a?\0b", ""),
        ]
    assert texts(client, 2) == ["", "a?\0b"]


def test_a_damaged_file_of_replies_says_what_to_do(tmp_path):
    path = tmp_path / "replies.sqlite"
    with ChatServer(shout) as server:
        client = endpoint(server, tmp_path)
        path.write_bytes(b"no database at all, but long enough to be looked at" * 20)
        with pytest.raises(DataError, match=f"{re.escape(str(path))} is damaged.*delete it"):
            texts(client, 3)
        path.unlink()
        texts(client, 200)
        whole = path.read_bytes()
        path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
        with pytest.raises(DataError, match=f"{re.escape(str(path))} is damaged.*delete it"):
            texts(client, 3)
        path.unlink()
        path.mkdir()
        with pytest.raises(DataError, match="replies cannot be kept there"):
            texts(client, 3)


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    client = Endpoint(EndpointConfig(url="http://127.0.0.1:9/v1", model="m"), tmp_path / "replies.sqlite")
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(EndpointError, match=r"pip install 'anyecg\[endpoint\]'"):
        texts(client, 1)
    with pytest.raises(ConfigError, match="no endpoint"):
        Endpoint(EndpointConfig(), tmp_path / "replies.sqlite")
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, anyecg.endpoint; print('openai' in sys.modules)"],
        capture_output=True,
        text=True,
    )
    assert loaded.stdout.strip() == "False"


@pytest.mark.parametrize(("settings", "told"), [
    ({"url": "localhost:8000", "model": "m"}, "url: it begins with"), ({"url": "http://h/v1"}, "model: name"), ({"model": "m"}, "url: say where"),
    ({"key_env": "sk-123"}, "key_env: the name of"), ({"concurrency": 0}, "concurrency: at least 1"), ({"timeout": 0}, "timeout: "),
    ({"retries": -1, "temperature": -0.5}, "retries: -1 is negative; temperature: -0.5 is negative")])  # fmt: skip
def test_settings_that_cannot_be_meant(settings, told):
    with pytest.raises(ConfigError, match=told) as caught:
        EndpointConfig(**settings)
    assert "sk-123" not in str(caught.value)
