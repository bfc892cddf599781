"""How the quantities of an ECG are asked for, written, and compared: title, tolerance, plausible range, error."""

from __future__ import annotations

import math
from dataclasses import dataclass

from anyecg.data.corpora.quantities import QUANTITIES, unit
from anyecg.types import CANONICAL_LEADS

_TITLES = {
    "heart_rate": "heart rate",
    "pr_interval": "PR interval",
    "qrs_duration": "QRS duration",
    "qt_interval": "QT interval",
    "qtc_interval": "corrected QT interval (QTc, Bazett)",
    "p_axis": "P wave axis",
    "qrs_axis": "QRS axis",
    "t_axis": "T wave axis",
    "r_amplitude": "R wave amplitude in lead {lead}",
    "s_amplitude": "S wave amplitude in lead {lead}",
    "st_level": "ST level at the J point in lead {lead}",
    "t_amplitude": "T wave amplitude in lead {lead}",
}
# What readers of one ECG, and machines, differ by: absolute, and as a share of the value; the larger holds.
_TOLERANCES = {
    "heart_rate": (5.0, 0.05),
    "pr_interval": (20.0, 0.0),
    "qrs_duration": (15.0, 0.0),
    "qt_interval": (30.0, 0.0),
    "qtc_interval": (30.0, 0.0),
    "p_axis": (20.0, 0.0),
    "qrs_axis": (15.0, 0.0),
    "t_axis": (20.0, 0.0),
    "r_amplitude": (0.15, 0.1),
    "s_amplitude": (0.15, 0.1),
    "st_level": (0.05, 0.0),
    "t_amplitude": (0.1, 0.1),
}
# The least and the greatest value that is written without a unit and still believed to be in the quantity's own.
_PLAUSIBLE = {
    "heart_rate": (15.0, 400.0),
    "pr_interval": (40.0, 700.0),
    "qrs_duration": (30.0, 400.0),
    "qt_interval": (150.0, 900.0),
    "qtc_interval": (150.0, 900.0),
    "degrees": (-360.0, 360.0),
    "mV": (-12.0, 12.0),
}
WRITTEN = {"bpm": "{:.0f} bpm", "ms": "{:.0f} ms", "degrees": "{:.0f} degrees", "mV": "{:.2f} mV"}


@dataclass(frozen=True)
class Quantity:
    """A quantity of `anyecg.data.corpora.quantities` by its name.

    unit: bpm, ms, degrees or mV; tolerance, relative: a value is right within the larger of `tolerance` and `relative`
    times the true one; low, high: between which a bare number is taken for one in this unit.
    """

    name: str
    title: str
    unit: str
    tolerance: float
    relative: float
    low: float
    high: float

    @property
    def lead(self) -> str:
        """The lead it is measured in, "" where that is no part of it."""
        last = self.name.rpartition("_")[2]
        return last if last in CANONICAL_LEADS else ""

    @property
    def wave(self) -> str:
        """The name without its lead."""
        return self.name.removesuffix(f"_{self.lead}") if self.lead else self.name

    def write(self, value: float) -> str:
        """ "162 ms", "0.85 mV"; "Not measurable" for NaN."""
        return "Not measurable" if math.isnan(value) else WRITTEN[self.unit].format(value + 0.0).replace("-0 ", "0 ")

    def allowed(self, true: float) -> float:
        """How far a value may be from the true one."""
        return max(self.tolerance, self.relative * abs(true))

    def error(self, value: float, true: float) -> float:
        """The absolute difference in the quantity's unit; of axes the smaller angle."""
        away = abs(value - true)
        return abs((away + 180) % 360 - 180) if self.unit == "degrees" else away


def quantity(name: str, tolerance: float | None = None) -> Quantity:
    """A quantity by its name, with another tolerance if given."""
    if name not in QUANTITIES:
        raise KeyError(name)
    last = name.rpartition("_")[2]
    wave, lead = (name.removesuffix(f"_{last}"), last) if last in CANONICAL_LEADS else (name, "")
    usual, relative = _TOLERANCES[wave]
    low, high = _PLAUSIBLE.get(name) or _PLAUSIBLE[unit(name)]
    given = (usual, relative) if tolerance is None else (tolerance, 0.0)
    return Quantity(name, _TITLES[wave].format(lead=lead), unit(name), *given, low, high)
