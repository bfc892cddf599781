"""A benchmark's table over several tasks: ours in every view and reading, published rows, and why a dash is one."""

from anyecg.evaluation.benchmark_table import benchmark_grid
from anyecg.evaluation.published import file_of, of_benchmarks


def metrics():
    def view(auc):
        corpus = {"ptbxl": {"auc": auc, "f1": 0.6, "hamming": 0.2, "auc_published": 0.5}}
        return {"metrics": {"auc": auc}, "blocks": {"corpus": corpus}}

    return {
        "tasks": {
            "abnormality": {"views": {"signal": view(0.8), "blind": view(0.5)}},
            "ecg_qa": {"views": {"signal": {"metrics": {"accuracy": 0.7}, "blocks": {}}}},
        }
    }


def test_ours_stand_above_the_published_rows_and_a_dash_has_its_reason():
    tables = {table.caption.split(" (")[0]: table for table in of_benchmarks(file_of("pulse"))}
    assert tables.keys() == {"Table 3", "Table 4"}  # an ablation's, with a mean over tasks, is none
    text = benchmark_grid(metrics(), tables["Table 3"]).markdown()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert sum("as its scorer reads" in row for row in rows) == 2 and sum("(published)" in row for row in rows) == len(tables["Table 3"].rows)
    assert "0.800" in rows[2] and "0.700" in rows[2]
    assert "Report: the run asks no task 'report'" in text
    assert "no question of 'abnormality' is about code15" in text
    assert benchmark_grid(metrics(), tables["Table 4"]) is None  # nothing of ours is in it
    assert not of_benchmarks(file_of("anyecg_chat"))


def test_every_published_file_has_tables_that_can_be_made():
    for name in ("anyecg_chat", "meit", "pulse"):
        grids = [benchmark_grid(metrics(), table) for table in of_benchmarks(file_of(name))]
        assert [grid is not None for grid in grids] == ([True, False] if name == "pulse" else [])
