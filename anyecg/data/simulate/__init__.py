"""A simulator of ECGs: WFDB files in each source's native layout, with reports and annotations true of the signal."""

from anyecg.data.simulate.dataset import LAYOUTS, simulate
from anyecg.data.simulate.record import ecg

__all__ = ["LAYOUTS", "ecg", "simulate"]
