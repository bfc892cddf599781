"""The page without a browser: it is built, listens to this machine, and keeps users apart."""

from types import SimpleNamespace

import pytest

from tests.web.scripted import desk, record

pytest.importorskip("gradio", reason="the page needs gradio: pip install 'anyecg[web]'")

from anyecg.types import AnyECGError
from anyecg.web import page as module
from anyecg.web.ecgs import Shown
from anyecg.web.page import Seats, build, serve
from anyecg.web.uploads import Limits


def user(name):
    return SimpleNamespace(session_hash=name)


def test_users_are_kept_apart_and_forgotten(monkeypatch):
    seats = Seats(desk(monkeypatch), Limits())
    one, other = seats.of(user("a")), seats.of(user("b"))
    one.conversation.add(Shown(record()))
    assert seats.of(user("a")) is one and other is not one and not other.conversation.ecgs
    folders = [one.inbox.folder, one.exports]
    assert all(folder.exists() for folder in folders)
    seats.leave(user("a"))
    assert not any(folder.exists() for folder in folders) and not seats.of(user("a")).conversation.ecgs
    monkeypatch.setattr(module, "IDLE", -1.0)
    seats.of(user("c"))
    assert not other.inbox.folder.exists()
    monkeypatch.setattr(module, "IDLE", 1e9)
    monkeypatch.setattr(module, "USERS", 2)
    for name in "defg":
        seats.of(user(name))
    assert len(seats._seats) == 2
    seats.close()


def test_nothing_of_the_page_is_an_open_interface(monkeypatch):
    page, seats = build(desk(monkeypatch), Limits())
    assert all(event.api_visibility == "private" for event in page.fns.values() if event.fn)
    seats.close()


def test_it_is_served_to_this_machine_only(monkeypatch, capsys):
    seen = {}
    monkeypatch.setattr("gradio.Blocks.launch", lambda self, **settings: seen.update(settings))
    serve(desk(monkeypatch), Limits(megabytes=3), wait=False)
    assert seen["server_name"] == "127.0.0.1" and seen["share"] is False and seen["allowed_paths"] == []
    assert "http://127.0.0.1:7860" in capsys.readouterr().out
    assert seen["max_file_size"] == 3 << 20 and "calipers" in seen["head"] and ".ecg-banner" in seen["css"]


def test_a_port_that_is_taken_is_told(monkeypatch):
    def taken(self, **settings):
        raise OSError("Cannot find empty port in range: 80-80")

    monkeypatch.setattr("gradio.Blocks.launch", taken)
    with pytest.raises(AnyECGError, match="--port 80: cannot be served at 127.0.0.1"):
        serve(desk(monkeypatch), Limits(), port=80, wait=False)
