"""The chat page in a real headless Chromium: drop a file, ask, see the span on the trace, compare two, a bad file, a
stop.
"""

import json
import re
import shutil
import socket
import urllib.request

import numpy as np
import pytest

from tests.web.scripted import ScriptedSession, desk, record

pytest.importorskip("gradio", reason="the page needs gradio: pip install 'anyecg[web]'")
playwright = pytest.importorskip("playwright.sync_api", reason="drives the browser: pip install playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
]
WAIT = 120_000  # ms: CI may do much else


@pytest.fixture(scope="module")
def monkey():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def address(monkey):
    from anyecg.web.page import serve
    from anyecg.web.uploads import Limits, Reader

    readers = []

    class Kept(Reader):
        def __init__(self, limits):
            super().__init__(limits)
            readers.append(self)

    monkey.setattr("anyecg.web.page.Reader", Kept)
    monkey.setattr(ScriptedSession, "answers", {**ScriptedSession.answers, "long": "word " * 500})
    monkey.setattr(ScriptedSession, "pause", 0.02)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    page = serve(desk(monkey), Limits(files=4, megabytes=2), port=port, wait=False)
    readers[0].warm()  # its start is no part of what is waited for below
    yield f"http://127.0.0.1:{port}"
    page.close()
    readers[0].close()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser, address):
    opened = browser.new_page(viewport={"width": 1600, "height": 1000})
    opened.set_default_timeout(WAIT)
    outside, errors = [], []
    opened.on(
        "request",
        lambda request: None if request.url.startswith((address, "data:", "blob:")) else outside.append(request.url),
    )
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(address)
    opened.wait_for_selector("#ecg-files input[type=file]", state="attached")
    yield opened
    opened.close()
    assert not outside and not errors


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name, findings in (("one", ["sinus_rhythm"]), ("two", ["atrial_fibrillation"])):
        made = record(findings)
        np.savez(folder / f"{name}.npz", signal=made.signal, fs=made.fs, leads=np.array(made.leads))
    np.save(folder / "bare.npy", record(leads=("I", "II")).signal)
    (folder / "Mueller_Anna.edf").write_bytes(b"0       broken" * 40)
    return folder


def drop(page, *paths):
    page.set_input_files("#ecg-files input[type=file]", [str(path) for path in paths])


def ask(page, text):
    page.fill("#ecg-question textarea", text)
    page.click("#ecg-ask")


def test_a_file_is_dropped_asked_about_and_its_span_is_on_the_trace(page, files):
    assert "Not a medical device" in page.inner_text("#ecg-banner")
    drop(page, files / "one.npz")
    page.wait_for_selector("svg.ecg-sheet path.trace")
    assert page.locator("svg.ecg-sheet path.trace").count() == 13 and page.locator("path.pulse").count() == 4
    text = page.inner_text(".ecg-block")
    assert "25 mm/s, 10 mm/mV" in text and "The model gets: 100 Hz" in text and "one.npz" not in text
    ask(page, "Where is it?")
    page.wait_for_selector("svg rect.span", state="attached")
    page.wait_for_selector(".ecg-badge.grey")
    box, sheet = (page.locator(one).last.bounding_box() for one in ("svg rect.span", "svg.ecg-sheet"))
    mm = sheet["width"] / float(page.get_attribute("svg.ecg-sheet", "data-width"))
    assert box["width"] / mm == pytest.approx(25.0, abs=0.6)  # one second
    page.click(".ecg-goto")
    assert page.locator(".ecg-flash").count() == 1
    ask(page, "Which lead?")
    page.wait_for_selector("svg text.lead.lit", state="attached")
    ask(page, "The rate?")
    page.wait_for_selector(".ecg-disagrees")


def test_the_calipers_and_the_switches(page, files):
    drop(page, files / "one.npz")
    page.wait_for_selector("svg.ecg-sheet")
    sheet = page.locator("svg.ecg-sheet")
    box = sheet.bounding_box()
    mm = box["width"] / float(sheet.get_attribute("data-width"))
    sheet.click(position={"x": 60 * mm, "y": 20 * mm})
    sheet.click(position={"x": 85 * mm, "y": 10 * mm})
    told = page.inner_text(".ecg-caliper")
    ms, bpm, mv = (float(found) for found in re.match(r"(\d+) ms · (\d+) bpm · ([\d.]+) mV", told).groups())
    assert ms == pytest.approx(1000, abs=15) and bpm == pytest.approx(60, abs=1) and mv == pytest.approx(1.0, abs=0.05)
    page.click("#ecg-speed label:has-text('50')")
    page.wait_for_selector("svg.ecg-sheet[data-speed='50']")
    page.click("#ecg-layout label:has-text('12x1')")
    page.wait_for_function("document.querySelectorAll('path.pulse').length === 12")
    page.click("#ecg-hide button")
    page.click("#ecg-hidden label:has-text('V6')")
    page.wait_for_function("document.querySelectorAll('path.pulse').length === 11")
    ask(page, "Where is it?")
    page.wait_for_selector(".ecg-flags:has-text('asked without V6')")


def test_two_are_compared_and_kept(page, files):
    drop(page, files / "one.npz", files / "two.npz")
    page.wait_for_function("document.querySelectorAll('svg.ecg-sheet').length === 2")
    page.click("#ecg-compare")
    page.wait_for_selector(".ecg-exchange.done")
    with page.expect_download() as got:
        page.click("#ecg-json")
    kept = json.loads(got.value.path().read_text())
    assert len(kept["ecgs"]) == 2 and kept["exchanges"][0]["question"].startswith("What changes")
    with page.expect_download() as got:
        page.click("#ecg-pdf")
    assert got.value.path().read_bytes().startswith(b"%PDF")
    page.click("#ecg-clear")
    page.wait_for_function("document.querySelectorAll('svg.ecg-sheet').length === 0")


def test_a_bad_file_is_told_and_the_page_goes_on(page, files, address):
    drop(page, files / "Mueller_Anna.edf")
    page.wait_for_selector("#ecg-messages .ecg-error")
    assert ".edf file" in page.inner_text("#ecg-messages") and "Mueller" not in page.inner_text("#ecg-messages")
    page.wait_for_timeout(3000)  # about as soon as a person can
    drop(page, files / "bare.npy")
    page.wait_for_selector("#ecg-messages:has-text('a .npy file')")
    page.fill("#ecg-rate input", "500")
    page.fill("#ecg-leads textarea, #ecg-leads input", "I, II")
    page.click("#ecg-again")
    page.wait_for_selector("svg.ecg-sheet")
    assert urllib.request.urlopen(address).status == 200


def test_an_answer_is_stopped(page, files):
    drop(page, files / "one.npz")
    page.wait_for_selector("svg.ecg-sheet")
    ask(page, "A long one?")
    page.wait_for_selector(".ecg-exchange.writing .ecg-answer")
    page.click("#ecg-stop")
    page.wait_for_selector(".ecg-exchange.stopped")
    assert len(page.inner_text(".ecg-answer").split()) < 400


def test_it_serves_this_machine_only(address):
    """The port answers at 127.0.0.1 and at no other address of this machine."""
    port = int(address.rpartition(":")[2])
    with socket.socket() as other:
        other.settimeout(2)
        assert other.connect_ex(("127.0.0.2", port)) != 0
