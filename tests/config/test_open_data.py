"""experiments/open_data.yaml is the recipe at every scale, and its control differs from it in what it sees alone."""

import pytest

from anyecg import config

EXPERIMENT, BLIND = "experiments/open_data.yaml", "experiments/open_data_trained_blind.yaml"


@pytest.mark.parametrize("scale", ["cpu", "gpu", "paper"])
def test_it_resolves_at_every_scale(scale):
    experiment = config.load(EXPERIMENT, [f"scale={scale}", "data.open=elsewhere"])
    assert {name: slot.config.root for name, slot in experiment.corpora.items()} == {
        "ptbxl": "elsewhere/ptbxl_full", "mit_bih_arrhythmia": "elsewhere/mitdb", "qtdb": "elsewhere/qtdb_edb",
    }  # fmt: skip
    assert experiment.curriculum == ["contrastive", "spans", "stage1", "stage2", "stage3"]
    assert experiment.pools()["ecg_qa_released"] == "ecg_qa_released" and experiment.pools()["ecg_qa"] == "ecg_qa"


@pytest.mark.parametrize("scale", ["cpu", "gpu", "paper"])
def test_its_control_withholds_the_ecg_and_changes_nothing_else(scale):
    recipe, blind = (config.to_dict(config.load(path, [f"scale={scale}"])) for path in (EXPERIMENT, BLIND))
    for name in ("stage1", "stage2", "stage3"):
        assert (recipe["stages"][name].pop("view"), blind["stages"][name].pop("view")) == ("signal", "blind")
    assert blind.pop("curriculum") == recipe.pop("curriculum")[2:]
    for key in ("name", "description"):
        recipe.pop(key), blind.pop(key)
    joint = [one["stages"].pop("joint") for one in (recipe, blind)]
    assert joint[1] | {"view": "signal"} == joint[0]
    assert recipe == blind
