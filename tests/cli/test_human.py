"""The human sheet: drawn evenly and blind, read back with every odd score named, and what it says of the judges."""

import csv
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from anyecg import config, human
from anyecg.evaluation.evaluate import evaluate
from anyecg.evaluation.selection import test_samples as questions_of
from anyecg.evaluation.sheet import COLUMNS, code, draw, join, read_sheet, write_sheet
from anyecg.tasks.agreement import agreement, correlations
from anyecg.tasks.build import build_data
from anyecg.tasks.multi_ecg.task import MultiECG
from anyecg.types import DataError, ECGSample, Prediction, Turn, Window
from tests.conftest import SMALL, Answering


def sample(i, ecgs):
    prompt = "".join(f"ECG {k + 1} (2168-12-1{k}): <ecg>\n" for k in range(ecgs)) + "Is there atrial fibrillation?"
    return ECGSample(
        id=f"multi_ecg/p{i}/present", task="multi_ecg", patient=f"p{i % 9}", subset=str(ecgs), records=tuple(Window(f"{i}{k}") for k in range(ecgs)),
        conversation=(Turn("user", prompt), Turn("assistant", "No, none shows it.")), evidence=tuple(f"Sinus rhythm {i}.{k}" for k in range(ecgs)),
        meta={"kind": "present", "reference": {"finding": "atrial_fibrillation", "answer": "no"}},
    )  # fmt: skip


SAMPLES = [sample(i, 2 if i < 60 else 3 + i % 4) for i in range(100)]


def test_the_draw_is_even_over_the_number_of_ecgs_and_seeded():
    drawn = draw(SAMPLES, 40, seed=1)
    counts = [sum(len(s.records) == n for s in drawn) for n in range(2, 7)]
    assert counts == [8] * 5 and len({s.id for s in drawn}) == 40
    assert (
        [s.id for s in drawn]
        == [s.id for s in draw(SAMPLES[::-1], 40, seed=1)]
        != [s.id for s in draw(SAMPLES, 40, seed=2)]
    )
    assert [len(s.records) for s in drawn] != sorted(len(s.records) for s in drawn)
    assert len({s.patient for s in drawn if len(s.records) == 2}) == 8  # of nine patients
    assert len(draw(SAMPLES, 1000)) == 100  # the scarce ones run out, the others fill
    unread = [replace(SAMPLES[0], evidence=())]
    assert SAMPLES[0].id not in {s.id for s in draw(unread + SAMPLES[1:], 1000)}
    with pytest.raises(DataError, match="nothing to score by"):
        draw(unread, 5)
    with pytest.raises(DataError, match="--n 0"):
        draw(SAMPLES, 0)


def rows_of(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_the_sheet_has_what_a_reader_needs_and_not_whose_answer_it_is(tmp_path):
    said = {SAMPLES[0].id: "=No\nµ", SAMPLES[70].id: "-"}
    write_sheet(tmp_path / "new" / "sheet.csv", [SAMPLES[0], SAMPLES[70]], said)
    first, second = rows_of(tmp_path / "new" / "sheet.csv")
    assert tuple(first) == COLUMNS and first["score"] == second["score"] == ""
    assert first["ecgs"] == "ECG 1 (2168-12-10): Sinus rhythm 0.0\nECG 2 (2168-12-11): Sinus rhythm 0.1"
    assert first["question"] == "Is there atrial fibrillation?" and first["reference"] == "No, none shows it."
    assert first["answer"] == " =No\nµ" and second["answer"] == " -"  # no formula
    assert (
        first["code"] == code(SAMPLES[0].id, "=No\nµ")
        and first["code"][0] == "q"
        and "present" not in "".join(first.values()).split("?")[1]
    )


def filled(path, scores, delimiter=",", ending="\r\n"):
    path.write_text(
        ending.join([delimiter.join(["Code", "Score"]), *(delimiter.join([which, said]) for which, said in scores)])
        + ending,
        encoding="utf-8-sig",
    )
    return path


def test_scores_are_read_as_spreadsheets_save_them(tmp_path):
    assert read_sheet(filled(tmp_path / "a.csv", [("qa", "4"), ("", ""), ("qb", " 3.5 ")])) == {
        "qa": (2, 4.0),
        "qb": (4, 3.5),
    }
    assert read_sheet(filled(tmp_path / "b.csv", [("qa", "4,5")], delimiter=";")) == {"qa": (2, 4.5)}
    assert read_sheet(filled(tmp_path / "c.csv", [("qa", "0")], delimiter="\t", ending="\n")) == {"qa": (2, 0.0)}


def test_every_row_without_a_usable_score_is_named(tmp_path):
    path = filled(
        tmp_path / "s.csv",
        [("qa", "4"), ("qb", ""), ("qc", "4/5"), ("qd", "7"), ("qe", "nan"), ("qa", "3"), ("qf", "-1")],
    )
    with pytest.raises(DataError, match="6 rows have no usable score") as caught:
        read_sheet(path)
    for words in ("row 3 (qb): the score is missing", "row 4 (qc): '4/5' is no number", "row 5 (qd): 7 is not between 0 and 5", "row 6 (qe): 'nan'",
                  "row 7 (qa): is scored in row 2 too", "row 8 (qf): '-1'"):  # fmt: skip
        assert words in str(caught.value)
    with pytest.raises(DataError, match=r"(?s)15 rows.*and 5 more"):
        read_sheet(filled(path, [(f"q{i}", "") for i in range(15)]))


@pytest.mark.parametrize(
    ("content", "told"),
    [("", "no column 'code'"), ("code,mark\nq,3\n", "no column 'score'"), ("code,score\n", "no row has a score")],
)
def test_what_is_no_sheet_is_told(tmp_path, content, told):
    (tmp_path / "s.csv").write_text(content)
    with pytest.raises(DataError, match=told):
        read_sheet(tmp_path / "s.csv")
    with pytest.raises(DataError, match="gone.csv cannot be read"):
        read_sheet(tmp_path / "gone.csv")


def test_a_sheet_of_another_run_is_refused(tmp_path):
    rows = pd.DataFrame({"id": ["a", "b"], "patient": ["p", "r"], "ecgs": [2, 3], "score": [5.0, 0.0]})
    said = {"a": "yes", "b": "no"}
    assert join(tmp_path, {code("b", "no"): (2, 1.5)}, rows, said).to_dict("records") == [
        {"id": "b", "human": 1.5, "patient": "r", "ecgs": 3, "score": 0.0}
    ]
    with pytest.raises(DataError, match=r"1 of 1 answers are none of this run's, such as row 2 \(q"):
        join(tmp_path, {code("b", "another answer"): (2, 1.5)}, rows, said)


def test_agreement_is_what_its_names_say():
    found = agreement(np.array([0, 1, 2, 3, 4, np.nan]), np.array([0, 1.5, 2, 4, 3, 5]))
    assert found["n"] == 5 and found["exact"] == pytest.approx(0.4) and found["within_half"] == pytest.approx(0.6)
    assert found["pearson"] == pytest.approx(np.corrcoef([0, 1, 2, 3, 4], [0, 1.5, 2, 4, 3])[0, 1]) and found[
        "spearman"
    ] == pytest.approx(0.9)
    assert 0 < found["kappa"] < 1 and agreement(np.arange(6.0), np.arange(6.0))["kappa"] == 1
    assert correlations(np.zeros(9), np.arange(9.0)) == {} and agreement(np.array([np.nan]), np.array([1.0])) == {
        "n": 0
    }
    # no NaN where nothing varies
    assert agreement(np.full(4, 2.0), np.full(4, 2.0)) == {"n": 4, "exact": 1.0, "within_half": 1.0}


@pytest.fixture(scope="module")
def finished(small_cache, tmp_path_factory):
    """A run's folder as `anyecg.run` leaves it, its answers those of a reader who knows half of them."""
    folder = tmp_path_factory.mktemp("run") / "run"
    folder.mkdir()
    experiment = config.load("experiments/anyecg_chat.yaml", [*SMALL, f"cache={small_cache}"])
    (folder / "config.yaml").write_text(config.dump(experiment))
    data = build_data(experiment.corpora, experiment.tasks, small_cache, experiment.tasks_seed, progress=False)
    samples = questions_of(data, "multi_ecg", "test", experiment.evaluation.limit, experiment.evaluation.seed)
    texts = {s.id: s.answer if i % 2 else "Sinus rhythm." for i, s in enumerate(samples)}
    evaluate(Answering(lambda asked, view: (Prediction(s.id, texts[s.id]) for s in asked)), {"multi_ecg": samples}, {"multi_ecg": MultiECG()}, folder,
             views=["signal", "blind"], bootstrap=0, progress=False)  # fmt: skip
    return folder


def test_a_sheet_goes_out_and_comes_back(finished, tmp_path, capsys):
    sheet = tmp_path / "sheet.csv"
    assert human.main(["export", str(finished), "--n", "20", "--to", str(sheet)]) == 0
    assert "20 answers of" in capsys.readouterr().out
    rows = rows_of(sheet)
    assert len(rows) == 20 and all(
        row["ecgs"] and row["question"] and row["reference"] and row["answer"] for row in rows
    )
    assert (
        human.main(["export", str(finished), "--to", str(sheet)]) == 2 and "is there already" in capsys.readouterr().err
    )
    assert (
        human.main(["read", str(sheet), str(finished)]) == 2
        and "20 rows have no usable score" in capsys.readouterr().err
    )
    scores = [(row["code"], "5" if row["answer"] == row["reference"] else "0.5") for row in rows]
    assert (
        human.main(
            [
                "read",
                str(filled(sheet, scores)),
                str(finished),
                "--bootstrap",
                "20",
                "--out",
                str(tmp_path / "table.md"),
            ]
        )
        == 0
    )
    table = (tmp_path / "table.md").read_text()
    assert (
        "| human and findings judge | 20 |" in table
        and "evaluation.judge.url" in table
        and "human and LLM judge" not in table
    )
    assert "Agreement" in capsys.readouterr().out


def test_the_llm_judge_of_the_run_is_compared_too(finished, tmp_path, capsys):
    path = finished / "scores" / "multi_ecg.parquet"
    rows, sheet = pd.read_parquet(path), tmp_path / "sheet.csv"
    assert human.main(["export", str(finished), "--n", "20", "--to", str(sheet)]) == 0
    said = {
        json.loads(line)["id"]: json.loads(line)["text"]
        for line in (finished / "predictions.jsonl").read_text().splitlines()
    }
    drawn = {row["code"] for row in rows_of(sheet)}
    scored = [id for id in said if code(id, said[id]) in drawn]
    try:
        rows.assign(judge=[np.nan if id == scored[0] else float(i % 6) for i, id in enumerate(rows["id"])]).to_parquet(
            path
        )
        filled(sheet, [(code(id, said[id]), str(i % 6)) for i, id in enumerate(scored)])
        assert (
            human.main(["read", str(sheet), str(finished), "--bootstrap", "0", "--out", str(tmp_path / "table.md")])
            == 0
        )
    finally:
        rows.to_parquet(path)
    table = (tmp_path / "table.md").read_text()
    assert (
        "| human and LLM judge | 19 |" in table
        and "| human and findings judge | 20 |" in table
        and "| LLM judge and findings judge | 19 |" in table
    )


def test_a_folder_that_is_no_run_is_told(tmp_path, capsys):
    assert human.main(["export", str(tmp_path), "--to", str(tmp_path / "sheet.csv")]) == 2
    assert "is not the folder of a finished run" in capsys.readouterr().err
