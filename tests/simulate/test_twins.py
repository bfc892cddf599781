"""Counterfactual twins: one heart, one finding, all else equal to the bit."""

import numpy as np
import pytest

from anyecg.simulate.beat import Anatomy
from anyecg.simulate.faults import Faults
from anyecg.simulate.record import IMPLIED
from anyecg.simulate.twins import SHAPES, twins

OTHERS = frozenset({"sinus_tachycardia", "premature_ventricular_contraction", "st_elevation_inferior", "low_voltage"})


@pytest.mark.parametrize("finding", SHAPES)
@pytest.mark.parametrize("others", [frozenset(), OTHERS, frozenset({"atrial_fibrillation"})])
def test_twins_differ_in_the_finding_alone(finding, others):
    rng = np.random.default_rng(3)
    anatomy, faults = Anatomy.draw(rng), Faults(wander=0.15, muscle=0.02)
    without, with_it = twins(finding, others, anatomy, faults, 10.0, 100.0, seed=5)
    assert finding in with_it.findings and finding not in without.findings
    brought = {finding, "left_axis_deviation", "right_axis_deviation", *IMPLIED.get(finding, ())}
    assert with_it.findings ^ without.findings <= brought
    assert (
        (without.times == with_it.times).all() and (without.kinds == with_it.kinds).all() and without.rr == with_it.rr
    )
    noise = [one.signal - one.clean.astype(np.float32) for one in (without, with_it)]
    np.testing.assert_allclose(*noise, atol=1e-6)
    assert np.abs(with_it.clean - without.clean).max() > 0.02
    again = twins(finding, others, anatomy, faults, 10.0, 100.0, seed=5)
    assert all((one.signal == two.signal).all() for one, two in zip((without, with_it), again))
