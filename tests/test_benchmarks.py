"""The benchmarks measure what they say: the mixture's shares, the same questions on every side, FLOPs as torch
counts them.
"""

import numpy as np
import pytest
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import data_path, gpu, mixture, training_step
from tests.conftest import collator, make_item, make_model


def test_the_data_path_is_measured_on_all_sides(capsys):
    assert data_path.main(["--records", "4"])["ratio"] > 0
    assert "store alone" in capsys.readouterr().out


def test_a_mixed_batch_has_every_kind():
    made = mixture.items(mixture.EVERY, mixture="mixed")
    kinds = [item.sample.task for item in made]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"report": 12, "short": 12, "long": 12, "multi": 12}
    several = [item for item in made if item.sample.task == "multi"]
    assert {len(item.clips) for item in several} == {2, 3, 4, 5, 6} and all(
        len(item.sample.records) == len(item.clips) for item in several
    )


def test_the_mixture_is_stage_twos():
    made = mixture.items(mixture.EVERY)
    kinds = [item.sample.task for item in made]
    assert (kinds.count("report"), kinds.count("short"), kinds.count("long")) == (24, 16, 8)
    clips = {kind: [len(item.clips[0]) for item in made if item.sample.task == kind] for kind in set(kinds)}
    assert (
        set(clips["report"]) == set(clips["short"]) == {1}
        and set(clips["long"]) <= set(range(2, 7))
        and len(set(clips["long"])) > 2
    )
    assert all(item.lead_masks[0].sum() == (12 if item.sample.task == "report" else 2) for item in made)


@pytest.mark.parametrize("side", training_step.SIDES)
def test_every_side_trains_every_question_once_in_steps_of_eight(side):
    lengths = np.random.default_rng(0).integers(100, 400, mixture.EVERY)
    plan = training_step.planned(side, lengths)
    assert all(sum(map(len, passes)) == training_step.BATCH for passes in plan)
    assert sorted(row for passes in plan for rows in passes for row in rows) == list(range(mixture.EVERY))


def test_flops_are_those_that_torch_counts():
    model = make_model(dim=96, heads=4, mlp=384)
    model.train_only(["encoder", "connector", "markers", "llm"])
    batch = collator(model)([make_item(f"q{n}", seed=n) for n in range(4)])
    assert batch.attention_mask.all()
    with FlopCounterMode(display=False) as counted:
        model.train()(batch).backward()
    assert gpu.flops(model, batch) == pytest.approx(counted.get_total_flops(), rel=0.15)
