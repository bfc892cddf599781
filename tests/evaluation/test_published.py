"""Published figures: the paper's table loads with its gaps, and nothing but a number or a gap passes."""

import pytest
import yaml

from anyecg import config
from anyecg.evaluation.published import DEFAULT, file_of, load, of_tasks
from anyecg.evaluation.tables import beside_published
from anyecg.tasks.report.task import Report
from anyecg.types import ConfigError

ROWS = ("default", "no_contrastive", "no_lead_emb", "no_dynamic_input", "full_tuning", "no_replay", "no_curriculum")


def test_the_papers_ablations_are_there():
    table = load()
    assert tuple(table.rows) == ROWS and "2506.00942" in table.source
    assert all(set(table[row]) == {"classification", "localization", "multi_ecg"} for row in ROWS)


def test_unknown_rows_tables_files_and_words_for_numbers_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="no_lead.*did you mean .no_lead_emb"):
        load()["no_lead"]
    with pytest.raises(ConfigError, match="table9"):
        load("table9")
    with pytest.raises(ConfigError, match="missing.yaml"):
        load(path=tmp_path / "missing.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_text("source: s\ntables: {table8: {caption: c, rows: {default: {localization: good}}}}")
    with pytest.raises(ConfigError, match="table8.rows.default.localization"):
        load(path=bad)


def test_every_table_is_whole():
    found = {table.caption.split(" (")[0]: table for table in of_tasks()}
    assert {name: len(table.rows) for name, table in found.items()} == {
        "Figure 2": 4,
        "Table 4": 7,
        "Table 5": 4,
        "Table 6": 4,
        "Table 7": 7,
    }
    for table in (*found.values(), load()):
        assert all(None not in figures.values() for figures in table.rows.values())
    for table in found.values():
        assert all(set(figures) == set(table.columns) for figures in table.rows.values())


def test_table_8_is_the_means_of_the_others():
    row = next(table for table in of_tasks() if table.task == "classification")["anyECG-chat"]
    assert round(sum(row.values()) / 6, 4) == load()["default"]["classification"] == 0.7109
    assert load("table6")["anyECG-chat"]["judge_score"] == load()["default"]["multi_ecg"] == 3.02
    better = [
        (name, task)
        for name, figures in load().rows.items()
        for task, value in figures.items()
        if value > load()["default"][task]
    ]
    assert better == [("full_tuning", "localization"), ("full_tuning", "multi_ecg"), ("no_replay", "multi_ecg")]


def test_tables_2_and_3_add_up():
    questions = {name: row["questions"] for name, row in load("table2").rows.items()}
    subsets = {name.split("/")[1]: size for name, size in questions.items() if "/" in name}
    assert sum(subsets.values()) == questions["localization"] and all(
        subsets[name] == 2 * subsets[f"{name}_long"] for name in subsets if not name.endswith("_long")
    )
    stages = load("table3").rows
    assert [stages[name]["samples"] for name in ("stage1", "stage2", "stage3")] == [
        questions["report"],
        questions["report"] + questions["localization"],
        sum(size for name, size in questions.items() if "/" not in name),
    ]
    paper = config.load(DEFAULT.parents[1] / "anyecg_chat.yaml", ["scale=paper"])
    for name, row in stages.items():
        stage = paper.stages[name]
        assert (stage.samples, stage.batch_size, stage.lr) == (
            row["samples"] * row["epochs"],
            row["batch_size"],
            row["lr"],
        )
    assert paper.tasks["localization"].config.sizes == subsets


def test_a_column_that_the_table_does_not_have_is_refused(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        "source: s\ntables: {table4: {caption: c, task: classification, columns: {auc: AUC}, rows: {A: {auk: 0.5}}}}"
    )
    with pytest.raises(ConfigError, match="table4.rows.A.auk: is no column.*known: auc"):
        of_tasks(bad)
    bad.write_text("tables: [1]")
    with pytest.raises(ConfigError, match="no published tables"):
        of_tasks(bad)


def test_ours_stand_above_the_published_a_row_a_judge_and_view():
    view = {
        "metrics": {"score": 2.0, "score_2": 1.0, "judge_score": 3.0},
        "intervals": {"score": [1.5, 2.5]},
        "blocks": {},
        "best": {"score": 7, "judge": 9},
        "unparsed": 3,
    }
    blind = {"metrics": {"score": 1.0}, "intervals": {}, "blocks": {}, "best": {}, "unparsed": 0}
    task = {
        "n": 40,
        "n_patients": 20,
        "views": {"signal": view, "blind": blind},
        "differences": {"blind": {"score": [1.0, 0.5, 1.5]}},
    }
    grid = beside_published(task, next(table for table in of_tasks() if table.task == "multi_ecg"))
    rows = {row[0]: row[1:] for row in grid.rows}
    assert rows["with the ECG, findings judge"] == ["1.000", *["–"] * 4, "2.000 [1.500, 2.500]", "7", "40", "20", "3"]
    assert rows["with the ECG, LLM judge"][5:7] == ["3.000", "9"]
    assert (
        rows["ECG − blind, findings judge"] == [*["–"] * 5, "+1.000 [+0.500, +1.500]", "–", "40", "20", "–"]
        and "ECG − blind, LLM judge" not in rows
    )
    assert rows["blind (no ECG), findings judge"][5:7] == ["1.000", "–"] and "blind (no ECG), LLM judge" not in rows
    assert (
        rows["anyECG-chat (published)"][5:] == ["3.020", "816", "–", "–", "–"]
        and "other data and weights" in grid.notes[0]
    )


def test_a_column_may_be_of_a_breakdown():
    table = load("table7")
    view = {"metrics": {"exact_match": 0.5}, "intervals": {}, "unparsed": 1, "blocks": {"question type": {"single-verify": {"exact_match": 0.25}}},
            "block_intervals": {"question type": {"single-verify": {"exact_match": [0.2, 0.3]}}}}  # fmt: skip
    task = {"n": 9, "n_patients": 8, "views": {"signal": view}, "differences": {}}
    assert beside_published(task, table).rows[0] == ["with the ECG", "0.250 [0.200, 0.300]", *["–"] * 6, "9", "8", "1"]


def test_table_8_has_the_metric_that_its_figure_is_of():
    table = load()
    all_sets = "auc(cpsc2018,csn,ptbxl)"
    found = {"primary": "auc(ptbxl)", "views": {"signal": {"metrics": {all_sets: 0.6, "auc(ptbxl)": 0.7}}}}
    assert table.beside("default", {"classification": found}) == {"classification": (all_sets, 0.7109)}
    without = {"primary": "auc(ptbxl)", "views": {"signal": {"metrics": {"auc(ptbxl)": 0.6}}}}
    assert table.beside("default", {"classification": without}) == {"classification": ("auc(ptbxl)", 0.7109)}
    assert table.metric("localization", ["iou_macro", "iou_balanced"], "iou_balanced") == "iou_balanced"


def test_meits_figures_are_there_each_with_its_mark():
    path = file_of("meit")
    tables = {name: load(name, path) for name in yaml.safe_load(path.read_text())["tables"]}
    assert len(tables) == 12 and load("table5", path)["concatenated (MEIT)"]["meit_bleu_4_tagged"] == 0.543
    for table in tables.values():
        assert set(table.marks) == set(table.rows)
        for row, figures in table.rows.items():
            mark = table.marks[row]
            assert (
                set(mark) == set(figures) if isinstance(mark, dict) else mark in ("official plot data", "second hand")
            )
    known = {*Report.metrics, "bert_f1"}
    assert all(set(table.columns) <= known for table in of_tasks(path))
    # scaling, instruction tuning and zero-shot repeat cells of Tables 1 and 2
    assert (
        load("scaling", path)["LLaMA-2 7B, PTB-XL"]["meit_meteor_tagged"]
        == load("table2", path)["LLaMA-2"]["meit_meteor_tagged"]
    )
    for name in ("BLOOM", "OPT", "LLaMA-1", "Mistral"):
        tuned = load("instruction_tuning", path)[f"{name}, with instruction tuning"]
        assert all(tuned[column] == value for column, value in load("table1", path)[name].items() if column in tuned)
        trained = load("zero_shot", path)[f"{name}, trained on PTB-XL"]
        assert trained == load("table2", path)[name]
