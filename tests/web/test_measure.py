"""Numbers measured on a recording, against what the simulator knows of it."""

import numpy as np
import pytest

from anyecg.web.ecgs import Shown
from anyecg.web.measure import TITLES, delineates
from tests.web.scripted import record, spoilt


def test_rate_and_axis():
    found = Shown(record(["sinus_tachycardia"])).measured
    assert 100 < found["heart_rate"] < 180 and found["rr_interval"] == pytest.approx(60_000 / found["heart_rate"])
    assert -30 < Shown(record()).measured["qrs_axis"] < 100
    assert Shown(record(["left_axis_deviation"])).measured["qrs_axis"] < -15


@pytest.mark.skipif(not delineates(), reason="intervals need neurokit2: pip install 'anyecg[web]'")
def test_intervals():
    normal, block = Shown(record()).measured, Shown(record(["left_bundle_branch_block"])).measured
    assert list(normal) == list(TITLES)
    assert 100 < normal["pr_interval"] < 220 and 60 < normal["qrs_duration"] < 125 and 280 < normal["qt_interval"] < 460
    assert block["qrs_duration"] is None or block["qrs_duration"] > 110  # never a part of the complex for all of it


def test_what_cannot_be_measured_is_none():
    noise = spoilt(
        lambda signal: signal.__setitem__(slice(None), np.random.default_rng(1).normal(0, 0.2, signal.shape))
    )
    assert set(Shown(noise).measured.values()) == {None}
    few = Shown(record(leads=("V1", "V2"))).measured
    assert few["qrs_axis"] is None and few.get("pr_interval") is None and few["heart_rate"] > 40
