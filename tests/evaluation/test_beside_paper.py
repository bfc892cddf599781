"""The published tables over several runs: ours above, the paper's below, a dash for what a run does not answer."""

from anyecg.evaluation.beside_paper import paper_grids
from anyecg.evaluation.comparison import Results
from anyecg.evaluation.tables import MISSING


def run(name, knows, task, metrics, **more):
    views = {
        "signal": {"metrics": metrics, "intervals": {}, "blocks": more.get("blocks", {}), "block_intervals": {}},
        "blind": {"metrics": dict.fromkeys(metrics, 0.5), "intervals": {}, "blocks": {}, "block_intervals": {}},
        "prior": {"metrics": dict.fromkeys(metrics, 0.25), "intervals": {}, "blocks": {}, "block_intervals": {}, "label": "prior"},
    }  # fmt: skip
    tasks = {task: {"views": views, "n": 40, "n_patients": 30, "primary": next(iter(metrics))}}
    facts = {"tasks": tasks, "answerer": {"name": "a", "knows": knows}, "references": {"prior": "training labels"}}
    return Results(name, {}, facts, {})


def test_every_run_and_every_published_row_is_there_and_marked():
    runs = [
        run("unet", "training labels", "localization", {"iou_macro": 0.7}),
        run("writer", "nothing", "localization", {"iou_macro": 0.6}),
        run("probe", "training labels", "classification", {"auc(ptbxl.super)": 0.9}),
        run("talker", "nothing", "multi_ecg", {"score": 3.0, "score_2": 2.5, "judge_score": 1.5}),
    ]
    grids = {grid.title.partition(":")[0]: grid for grid in paper_grids(runs)}
    assert set(grids) == {"localization", "classification", "report", "multi_ecg", "ecg_qa"}
    rows = {(row[0], row[2]): row for row in grids["localization"].rows}
    assert rows["ours: unet", "with the ECG"][3] == "0.700" and rows["paper: anyECG-chat", MISSING][3] == "0.561"
    assert rows["ours: probe", MISSING][3] == MISSING
    assert [row[:4] for row in grids["localization"].rows if row[0] == "reference"] == [
        ["reference", "training labels", "prior", "0.250"]
    ]  # once, though two runs have it
    assert rows["ours: writer", "with the ECG"][1] == "nothing"
    judged = [row for row in grids["multi_ecg"].rows if row[0] == "ours: talker" and row[2].startswith("with the ECG")]
    assert [row[2] for row in judged] == ["with the ECG, findings judge", "with the ECG, LLM judge"]
    assert all(row[0].startswith(("ours: ", "paper: ", "reference")) for grid in grids.values() for row in grid.rows)
