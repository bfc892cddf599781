"""Released conversations about pages: rows are read, their recordings found, and each answer scored by its form."""

import json
from collections import Counter

import pytest

from anyecg.simulate.conversations import drawn, instruct_row, letters_row, set_row, write_bench, write_instruct
from anyecg.tasks.instruct_files.build import InstructFilesConfig, file_questions, form_of, listed_options
from anyecg.tasks.instruct_files.task import InstructFiles
from anyecg.tasks.release.conversations import Recordings, conversations, files_of
from anyecg.types import MARKER, ConfigError, DataError, Prediction
from tests.tasks.test_abnormality import Store, Stores


class Numbered(Store):
    """Records called by numbers, as PTB-XL's and MIMIC's are."""

    def rows(self, columns):
        place = columns.index("id")
        for row in super().rows(columns):
            number = int(row[place].rpartition("A")[2]) + 1
            yield (*row[:place], f"{self.corpus}/{number}", *row[place + 1 :])


@pytest.fixture
def known():
    return Stores(ptbxl=Numbered("ptbxl"), cpsc2018=Store())


def rows_of(path):
    dropped = Counter()
    return list(conversations(path, dropped, "p")), dropped


def test_a_row_is_a_conversation_over_one_page(tmp_path):
    row = instruct_row("ptb-xl", "00021_hr", 3, [("What is the rhythm?", "Sinus rhythm."), ("And the axis?", "Left.")])
    write_instruct(tmp_path / "ECGInstruct.json", [row])
    ((one,), dropped) = rows_of(tmp_path / "ECGInstruct.json")
    assert one.turns[0].text == f"{MARKER}\nWhat is the rhythm?" and [turn.role for turn in one.turns] == ["user", "assistant"] * 2
    assert one.paths == ("ptb-xl/00021_hr-0.png",) and not dropped


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ([], "no object"),
        ({"id": "a"}, "without a conversation"),
        ({"conversations": [{"from": "gpt", "value": "x"}]}, "in turn"),
        ({"conversations": [{"from": "human", "value": "<image><image>\nx"}, {"from": "gpt", "value": "y"}]}, "several"),
        ({"conversations": [{"from": "human", "value": "x"}, {"from": "gpt", "value": " "}]}, "without words"),
        ({"conversations": [{"from": "human", "value": "<ecg> x"}, {"from": "gpt", "value": "y"}]}, "marker of ours"),
        ({"conversations": [{"from": "nurse", "value": "x"}]}, "unknown speaker"),
    ],
)
def test_what_is_no_such_row_is_counted(tmp_path, row, why):
    (tmp_path / "rows.json").write_text(json.dumps([row]))
    found, dropped = rows_of(tmp_path / "rows.json")
    assert not found and why in next(iter(dropped))[1]


def test_layouts_of_the_same_rows(tmp_path):
    """JSON, JSON lines, parquet with the page inside, arena's questions and answers, ECG-Grounding's signal path."""
    row = instruct_row("ptb-xl", "00021_hr", 0, [("What is it?", "Sinus rhythm.")])
    write_instruct(tmp_path / "a.json", [row])
    (tmp_path / "b.jsonl").write_text(json.dumps(row) + "\n\n")
    write_bench(tmp_path, "ptb-test-report", [row])
    first, *others = [rows_of(path)[0] for path in (tmp_path / "a.json", tmp_path / "b.jsonl", tmp_path / "ptb-test-report")]
    assert all(other == first for other in others)
    assert len(files_of(tmp_path)) == 3
    arena = {"id": "arena-1", "image_path": "x.png", "conversations": [{"question": "<image>\nFindings?", "answer": "A."}]}
    grounded = {"id": "g", "ecg": "ptbxl/records500/00000/00021_hr", "conversations": row["conversations"]}
    write_instruct(tmp_path / "c.json", [arena, grounded])
    two, _ = rows_of(tmp_path / "c.json")
    assert two[0].turns[1].text == "A." and two[1].paths == ("ptbxl/records500/00000/00021_hr",)
    for broken in ("[{", "{}"):
        (tmp_path / "d.json").write_text(broken)
        with pytest.raises(DataError, match=r"d\.json"):
            rows_of(tmp_path / "d.json")
    (tmp_path / "e.parquet").write_text("none")
    with pytest.raises(DataError, match=r"e\.parquet"):
        rows_of(tmp_path / "e.parquet")
    with pytest.raises(DataError, match="no file of conversations"):
        files_of(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("path", "id", "record"),
    [
        ("ptb-xl/00021_hr-0.png", "ptb-xl-00021-q_0", "ptbxl/21"),
        ("ptb-xl/pages/x.png", "ptb-xl-00003-q_0", "ptbxl/3"),
        ("cpsc/A0007-0.png", "cpsc-A0007", "cpsc2018/A0007"),
        ("cpsc/A9007-0.png", "cpsc-A9007", None),
        ("web/page.png", "mmmu-17", None),
    ],
)
def test_a_rows_recording_is_found_by_its_number(known, path, id, record):
    find = Recordings({"ptb-xl": known["ptbxl"], "cpsc": known["cpsc2018"]})
    row = instruct_row("x", "y", 0, [("a", "b")]) | {"id": id, "image": path}
    from anyecg.tasks.release.conversations import _row

    found = find(_row(row, 1))
    assert (found[0] if found else None) == record


@pytest.mark.parametrize(
    ("row", "form", "right"),
    [
        (letters_row("cpsc", "A0001", ["one thing", "another thing"], 1), "choice", [1]),
        (set_row("ptb-xl", "00001", "Which leads?", ["lead I", "lead II", "none"], ["lead II", "lead I"]), "options", [0, 1]),
        (set_row("ptb-xl", "00001", "Is it normal?", ["yes", "no", "not sure"], ["no"]), "options", [1]),
        (instruct_row("ptb-xl", "00001", 0, [("Is there atrial fibrillation?", "Yes, there is.")]), "verdict", [0]),
        (instruct_row("ptb-xl", "00001", 0, [("Report?", "Sinus rhythm with left axis deviation.")]), "free",
         ["left_axis_deviation", "sinus_rhythm"]),
        (instruct_row("ptb-xl", "00001", 0, [("Why?", "The tracing was made on a Monday by the night staff.")]), "free", []),
    ],
)  # fmt: skip
def test_forms_are_told_by_the_reference(known, tmp_path, row, form, right):
    write_instruct(tmp_path / "a.json", [row])
    cfg = InstructFilesConfig(files={"a": str(tmp_path / "a.json")}, corpora={"ptb-xl": "ptbxl", "cpsc": "cpsc2018"})
    ((_, sample),) = file_questions(known, cfg, "instruct_files", Counter())
    assert (sample.meta["form"], sample.meta["right"]) == (form, right) and sample.subset == "a"
    task = InstructFiles(cfg)
    assert task.agrees(sample) and form_of(sample) == sample.meta
    found = task.reduce(task.score([sample], [Prediction(sample.id, sample.answer)])) if right else {"score": 1.0}
    assert found["score"] == 1


def test_sets_are_whole_and_the_published_parser_takes_any_mention(known, tmp_path):
    rows = [set_row("ptb-xl", f"{n:05d}", "Which?", ["left", "left axis deviation", "none"], ["left axis deviation"]) for n in (1, 2)]
    write_bench(tmp_path, "ecgqa-test", rows)
    cfg = InstructFilesConfig(files={"ecgqa": str(tmp_path)}, corpora={"ptb-xl": "ptbxl"}, split="test")
    samples = [sample for _, sample in file_questions(known, cfg, "instruct_files", Counter())]
    task = InstructFiles(cfg)
    found = task.reduce(task.score(samples, [Prediction(sample.id, "Left axis deviation.") for sample in samples]))
    assert found["set_accuracy"] == 1 and found["set_accuracy_published"] == 0  # "left" occurs in it, too
    assert listed_options("Which? Options: a (b, c), d, e. Only answer based on the given Options.") == ["a (b, c)", "d", "e"]


def test_the_pool_is_the_users_and_what_cannot_be_asked_is_counted(known, tmp_path):
    rows = drawn([f"{n:05d}" for n in range(1, 9)], 0, lambda record, rng: instruct_row("ptb-xl", record, 0, [("Q?", "Sinus rhythm.")]))
    write_instruct(tmp_path / "a.json", [*rows, rows[0], instruct_row("mmmu", "1", 0, [("Q?", "A")])])
    cfg = InstructFilesConfig(files={"a": str(tmp_path / "a.json")}, corpora={"ptb-xl": "ptbxl"}, pool="pulse_files")
    dropped = Counter()
    found = list(file_questions(known, cfg, "instruct_files", dropped))
    assert {sample.pool for _, sample in found} == {"pulse_files"} == set(InstructFiles(cfg).pools)
    assert len(found) == 8 and sum(dropped.values()) == 2
    with pytest.raises(ConfigError, match="corpora"):
        InstructFilesConfig(files={"a": "x"})
    wrong = InstructFiles(InstructFilesConfig(files={"a": "/nowhere"}, corpora={"x": "y"})).check(["ptbxl"])
    assert [key for key, _ in wrong] == ["corpora.x", "files.a"]
