"""The whole way from corpora to questions: found again, resumed, and clear about what is wrong."""

import multiprocessing
import os
import signal

import pytest

from anyecg.config.schema import Slot
from anyecg.tasks import build
from anyecg.tasks.build import build_data, find_data
from anyecg.types import ConfigError, DataError
from tests.building import tasks

MIMIC = Slot.of("corpus", "mimic", patients=8, seed=1)
RHYTHM = Slot.of("corpus", "mit_bih_arrhythmia", patients=4, seed=1, seconds=60.0)
QUESTIONS = tasks(localization={"windows_per_record": 2})


def made(cache, seed=0, questions=QUESTIONS, corpora={"mimic": MIMIC, "mit_bih_arrhythmia": RHYTHM}):  # noqa: B006
    return build_data(corpora, questions, cache, seed, progress=False)


def tree(cache):
    """What a cache holds, but for what it remembers of the times of files."""
    files = (
        path
        for path in sorted(cache.rglob("*"))
        if path.is_file() and path.name != ".lock" and not path.name.startswith(".contents-")
    )
    return {path.relative_to(cache): path.read_bytes() for path in files}


def test_found_again_and_the_same_elsewhere(tmp_path, monkeypatch):
    first = made(tmp_path / "one")
    elsewhere = made(tmp_path / "two")
    assert tree(tmp_path / "one") == tree(tmp_path / "two") and first.fingerprint == elsewhere.fingerprint
    monkeypatch.setattr(build, "build_questions", None)  # nothing is built twice
    assert made(tmp_path / "one").fingerprint == first.fingerprint


def test_fingerprint_follows_everything(tmp_path):
    base = made(tmp_path)
    others = [
        made(tmp_path, seed=1),
        made(tmp_path, questions=tasks(localization={"windows_per_record": 3})),
        made(tmp_path, corpora={"mimic": MIMIC}),
        made(tmp_path, corpora={"mimic": Slot.of("corpus", "mimic", patients=8, seed=2), "mit_bih_arrhythmia": RHYTHM}),
    ]
    assert len({base.fingerprint, *(other.fingerprint for other in others)}) == 5
    assert base.questions.info["data"] == base.stores.fingerprint


def test_two_rates_share_a_cache(tmp_path):
    slow = made(tmp_path)
    fast = build_data({"mimic": MIMIC, "mit_bih_arrhythmia": RHYTHM}, QUESTIONS, tmp_path, 0, progress=False, fs=250)
    assert (slow.stores.fs, fast.stores.fs) == (100, 250) and slow.fingerprint != fast.fingerprint
    assert made(tmp_path).fingerprint == slow.fingerprint  # neither took the other's place
    assert (
        find_data({"mimic": MIMIC, "mit_bih_arrhythmia": RHYTHM}, QUESTIONS, tmp_path, 0, 250).fingerprint
        == fast.fingerprint
    )
    asked, again = (
        [
            (sample.id, sample.conversation, sample.records)
            for sample in map(data.questions.__getitem__, range(len(data.questions)))
        ]
        for data in (slow, fast)
    )
    assert asked == again  # the questions do not depend on the rate
    sample = fast.questions[0]
    assert fast.stores.read(sample.records[0])[0].shape[1] == round(250 * fast.stores.seconds(sample.records[0]))


def test_kill_at_any_moment(tmp_path):
    """Killed again and again, each time a little later, a build ends as one that was left alone."""
    cache, wait, kills = tmp_path / "cache", 0.1, 0
    while True:
        process = multiprocessing.get_context("fork").Process(target=made, args=(cache,))
        process.start()
        process.join(wait)
        if process.exitcode is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        kills, wait = kills + 1, wait + 0.2
    assert process.exitcode == 0 and kills
    made(tmp_path / "whole")
    left = {
        path: content for path, content in tree(cache).items() if not any(part.startswith(".") for part in path.parts)
    }
    assert left == tree(tmp_path / "whole")


def test_both_processes_of_two_builds_finish(tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=made, args=(tmp_path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]


def test_wrong_names_and_roots(tmp_path):
    with pytest.raises(DataError, match=r"corpora\.mimic\.root"):
        made(tmp_path, corpora={"mimic": Slot.of("corpus", "mimic", root=str(tmp_path / "nowhere"))})


def test_one_reader_under_two_keys(tmp_path):
    """Two entries of one reader are two corpora, whatever order they come in, and each is found again by its own
    key.
    """
    both = {"lo": MIMIC, "hi": Slot.of("corpus", "mimic", patients=6, seed=2)}
    data = made(tmp_path, corpora=both)
    assert len({record.partition("/")[0] for record in data.stores.records.index}) == 2
    assert data.stores["lo"].summary["reader"] == "mimic" and len(data.stores["lo"]) != len(data.stores["hi"])
    assert build.find_data(both, QUESTIONS, tmp_path, 0).fingerprint == data.fingerprint
    assert build.find_data({"lo": MIMIC, "other": both["hi"]}, QUESTIONS, tmp_path, 0) is None


def test_one_folder_under_two_keys_has_each_patient_in_one_split(tmp_path):
    root = made(tmp_path, corpora={"mimic": MIMIC}) and next((tmp_path / "corpora").glob("mimic-*"))
    same = {
        key: Slot.of("corpus", "mimic", root=str(root), seed=seed)
        for key, seed in (("one", 1), ("two", 1), ("three", 2))
    }
    one, two = (made(tmp_path, corpora={key: same[key] for key in keys}) for keys in (("one",), ("one", "two")))
    assert len(two.stores.records) == 2 * len(one.stores.records)
    with pytest.raises(
        DataError,
        match=r"corpora\.three: patient three/\d+ is in its \w+ split, and in the \w+ split of corpora\.one.*same seed",
    ):
        made(tmp_path, corpora={key: same[key] for key in ("one", "three")})


def test_a_reader_that_cannot_be_simulated_needs_a_root(tmp_path):
    mine = Slot("mine", type("Mine", (MIMIC.component,), {"layout": None}), MIMIC.config)
    with pytest.raises(ConfigError, match=r"corpora\.mine\.root: is missing, and mine cannot be simulated"):
        made(tmp_path, corpora={"mine": mine})
