"""A simulator of ECGs: WFDB files in each source's native layout, with reports and annotations true of the signal."""

from anyecg.simulate.dataset import LAYOUTS, simulate
from anyecg.simulate.record import ecg

__all__ = ["LAYOUTS", "ecg", "simulate"]
