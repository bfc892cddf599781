"""Bootstrap by patient: coverage on synthetic data, the same resample for both, ids that must match."""

import numpy as np
import pandas as pd
import pytest

from anyecg.evaluation.bootstrap import interval, paired_interval
from anyecg.types import DataError


def mean(rows):
    return {"mean": float(rows["value"].to_numpy().mean())}


def clustered(rng, patients=40, each=5, effect=0.0):
    """Rows whose values share a part within a patient; true mean `effect`."""
    patient = np.repeat(np.arange(patients), each)
    value = effect + rng.normal(size=patients)[patient] + 0.5 * rng.normal(size=len(patient))
    return pd.DataFrame(
        {"id": [f"q{i}" for i in range(len(patient))], "patient": [f"p{p}" for p in patient], "value": value}
    )


def test_intervals_by_patient_cover_the_truth_and_intervals_by_question_do_not():
    rng = np.random.default_rng(0)
    hits = {"patient": 0, "id": 0}
    for trial in range(40):
        rows = clustered(rng)
        for by in hits:
            _, low, high = interval(rows, mean, by=by, n=100, seed=trial)["mean"]
            hits[by] += low <= 0 <= high
    assert hits["patient"] >= 0.85 * 40 > hits["id"]


def test_pairing_removes_what_both_share():
    rng = np.random.default_rng(1)
    a = clustered(rng)
    b = a.assign(value=a["value"] - 0.3 + 0.05 * rng.normal(size=len(a)))
    difference, low, high = paired_interval(a, b, mean)["mean"]
    assert difference == pytest.approx(0.3, abs=0.02) and 0.25 < low < difference < high < 0.35
    assert paired_interval(a, a, mean)["mean"] == (0, 0, 0)


def test_the_outcome_depends_on_rows_and_seed_not_on_their_order():
    rng = np.random.default_rng(2)
    a, b = clustered(rng), clustered(rng)
    once = paired_interval(a, b, mean, n=100)
    assert once == paired_interval(a.sample(frac=1, random_state=0), b.sample(frac=1, random_state=1), mean, n=100)
    assert once != paired_interval(a, b, mean, n=100, seed=1)
    swapped = paired_interval(b, a, mean, n=100)["mean"]
    assert swapped == pytest.approx([-once["mean"][0], -once["mean"][2], -once["mean"][1]])


def test_a_metric_that_some_resamples_leave_undefined_stays_finite():
    rows = clustered(np.random.default_rng(3), patients=4, each=1).assign(positive=[True, False, False, False])

    def sometimes(part):
        return mean(part) | (
            {"rare": float(part.loc[part["positive"], "value"].mean())} if part["positive"].any() else {}
        )

    assert np.isfinite(interval(rows, sometimes, n=50)["rare"]).all()
    assert set(paired_interval(rows, rows.assign(positive=False), sometimes, n=50)) == {"mean"}


def test_different_questions_are_refused_by_id():
    rows = clustered(np.random.default_rng(4))
    with pytest.raises(DataError, match="only the first has 2 ids such as q0, q1"):
        paired_interval(rows, rows.iloc[2:], mean)
    with pytest.raises(DataError, match="only the second has 1 ids such as q0"):
        paired_interval(rows.iloc[1:], rows, mean)
    with pytest.raises(DataError, match="q0 twice"):
        paired_interval(pd.concat([rows, rows.iloc[:1]]), rows, mean)
    with pytest.raises(DataError, match="q0 belongs to patient p0"):
        paired_interval(rows, rows.assign(patient="p9"), mean)


def test_one_patient_teaches_no_spread():
    with pytest.raises(DataError, match="at least two"):
        interval(clustered(np.random.default_rng(5), patients=1), mean)


def test_a_wide_table_is_reduced_once_a_resample_by_names_that_are_read_fast():
    from anyecg.tasks.classification.task import Classification
    from anyecg.tasks.metrics import finding_columns

    rng = np.random.default_rng(6)
    rows = clustered(rng, patients=150, each=1)
    scores = {f"score:ptbxl_sub:{k}": rng.random(150) for k in range(40)}
    labels = {f"label:ptbxl_sub:{k}": rng.random(150) < 0.2 for k in range(40)}
    said = {f"asserted:ptbxl_sub:{k}": rng.random(150) < 0.2 for k in range(40)}
    rows = pd.concat(
        [
            rows,
            pd.DataFrame(scores),
            pd.DataFrame(said),
            pd.DataFrame(labels).astype(float),
            finding_columns([()] * 150, [()] * 150),
        ],
        axis=1,
    )
    reduced = []
    assert interval(rows, lambda drawn: reduced.append(drawn) or Classification().reduce(drawn), n=20)
    assert len(reduced) == 21 and all(len(drawn) == 150 for drawn in reduced)
    assert all(drawn.columns.dtype == object for drawn in reduced[1:])  # not Arrow strings
