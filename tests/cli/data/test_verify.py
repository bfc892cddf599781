"""`python -m anyecg.data verify`, as its user gives it: what it prints and its exit status."""

import json

import pytest

from anyecg.data.__main__ import main
from tests.data.native import REAL, write_annotated

ROW = {
    "question": "Where is the Premature ventricular contraction located in this ECG?",
    "answer": "Duration: 0.5s-2.5s",
    "ecg_path": "r1",
    "dataset": "mit_bih_arrhythmia",
    "task": "location",
    "abnormal_type": "V",
    "ecg_start": 0,
    "ecg_end": 3600,
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a source, `mitdb`, to verify against."""
    write_annotated(tmp_path / "mitdb", "r1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def verify(place, capsys, *rows, options=()):
    """Exit status, what was printed and the messages."""
    (place / "f.json").write_text(json.dumps(rows))
    status = main(["verify", "f.json", "--root", "mit_bih_arrhythmia=mitdb", *options])
    return status, *capsys.readouterr()


def test_all_agree(place, capsys):
    status, printed, messages = verify(
        place, capsys, ROW, ROW | {"answer": "Duration: 0.4s-2.5s"}, ROW | {"dataset": "mimic"}
    )
    assert status == 0 and not messages
    assert printed.splitlines() == [
        "agree 2 of 2",
        "1 of them only within 0.1 s, from rounding",
        "not checked: 1 rows, no --root for mimic",
    ]


def test_a_line_for_each_thing_that_is_wrong(place, capsys):
    status, printed, _ = verify(
        place,
        capsys,
        ROW,
        ROW | {"answer": "No Premature ventricular contraction Found"},
        ROW | {"ecg_path": "gone"},
        ROW | {"ecg_path": ["gone"]},
        ROW | {"ecg_end": 0},
    )
    lines = printed.splitlines()
    assert status == 1 and lines[0] == "agree 1 of 2"
    assert (
        "  f.json row 2: mit_bih_arrhythmia r1, samples 0-3600, Premature ventricular contraction: file says "
        "'No Premature ventricular contraction Found', annotations say 'Duration: 0.5s-2.5s'" in lines
    )
    assert "ECG paths that do not exist (1):" in lines and "  gone (mit_bih_arrhythmia, under mitdb; rows: 2)" in lines
    assert any(line.startswith("  f.json row 5: ecg_end: ") for line in lines)


@pytest.mark.parametrize(
    "rows, status",
    [
        ([ROW], 0),
        ([], 1),
        ([ROW | {"dataset": "mimic"}], 1),
        ([ROW, ROW | {"answer": "?"}], 1),
        ([ROW | {"ecg_path": "gone"}], 1),
    ],
)
def test_json(place, capsys, rows, status):
    found, printed, _ = verify(place, capsys, *rows, options=["--json"])
    result = json.loads(printed)
    assert found == status and {"agree", "checked", "rounding", "disagreements", "missing", "unchecked"} <= set(result)
    assert result["agree"] + len(result["disagreements"]) == result["checked"] and result["checked"] + sum(
        result["unchecked"].values()
    ) == len(rows)


@pytest.mark.parametrize("row", [ROW | {"dataset": "mimic"}, ROW | {"task": "report"}])
def test_nothing_to_check_is_no_success(place, capsys, row):
    status, printed, _ = verify(place, capsys, row)
    assert status == 1 and printed.splitlines()[:2] == [
        "agree 0 of 0",
        "nothing could be checked: no localization row is about a source with beat annotations under a --root "
        "(mit_bih_arrhythmia)",
    ]


def test_several_files_are_one_count(place, capsys):
    (place / "g.json").write_text(json.dumps([ROW | {"answer": "Duration: 3.0s-4.0s"}]))
    status, printed, _ = verify(place, capsys, ROW, options=["--json"])  # noqa: RUF059
    assert status == 0 and main(["verify", "f.json", "g.json", "--root", "mit_bih_arrhythmia=mitdb", "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert (result["agree"], result["checked"]) == (1, 2)
    assert [(one["file"], one["row"], one["said"], one["annotated"]) for one in result["disagreements"]] == [
        ("g.json", 1, "Duration: 3.0s-4.0s", "Duration: 0.5s-2.5s")
    ]


@pytest.mark.skipif(not (REAL / "upstream_json").is_dir(), reason=f"no released files in {REAL}")
def test_a_released_file_whose_recordings_are_not_there(place, capsys):
    (place / "empty").mkdir()
    arguments = [
        "verify",
        *(str(REAL / "upstream_json" / f"stage{n}.json") for n in (1, 2, 3)),
        "--root",
        "european_st_t=empty",
    ]
    assert main(arguments) == 1
    assert "  e0103 (european_st_t, under empty; rows: 200)" in capsys.readouterr().out.splitlines()
    assert main([*arguments, "--json"]) == 1 and json.loads(capsys.readouterr().out)["missing"] == ["e0103"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["gone.json", "--root", "mit_bih_arrhythmia=mitdb"], "gone.json cannot be read"),
        (["f.json", "--root", "mitdb"], "NAME=DIR"),
        (["f.json", "--root", "mitdb=mitdb"], "no source is called 'mitdb' (known: "),
        (["f.json", "--root", "mimic=nowhere"], "there is no folder nowhere"),
        (["cut.json", "--root", "mit_bih_arrhythmia=mitdb"], "cut.json: cut short or no JSON at character "),
    ],
)
def test_what_its_user_can_mend(place, capsys, arguments, message):
    (place / "f.json").write_text(json.dumps([ROW]))
    (place / "cut.json").write_text(json.dumps([ROW, ROW])[:-30])
    assert main(["verify", *arguments]) == 2
    told = capsys.readouterr()
    assert message in told.err and not told.out


def test_no_root_is_no_question(place, capsys):
    with pytest.raises(SystemExit) as left:
        main(["verify", "f.json"])
    assert left.value.code == 2 and "--root" in capsys.readouterr().err
