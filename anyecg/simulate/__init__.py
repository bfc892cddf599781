"""A simulator of ECGs: WFDB files in each source's native layout, with reports and annotations true of the signal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyecg.registry import Registry

if TYPE_CHECKING:
    from anyecg.simulate.record import ecg

simulators = Registry("simulator", {  # by layout, as a corpus says it
    "mimic": "anyecg.simulate.mimic:MIMIC",
    "ptbxl": "anyecg.simulate.ptbxl:PTBXL",
    "cpsc2018": "anyecg.simulate.cpsc2018:CPSC2018",
    "g12ec": "anyecg.simulate.g12ec:G12EC",
    "code15": "anyecg.simulate.code15:CODE15",
    "csn": "anyecg.simulate.csn:CSN",
    "ludb": "anyecg.simulate.ludb:LUDB",
    "mit_bih_arrhythmia": "anyecg.simulate.holter:MITBIHArrhythmia",
    "european_st_t": "anyecg.simulate.holter:EuropeanSTT",
    "twins": "anyecg.simulate.twins:Twins",
    "mit_bih_st_change": "anyecg.simulate.holter:MITBIHSTChange",
})  # fmt: skip


def simulate(layout: str, root: Path | str, **settings) -> None:
    """Write a simulated set in a layout of `simulators`; settings: those of `Simulator.simulate`."""
    simulators[layout]().simulate(root, **settings)


__all__ = ["ecg", "simulate", "simulators"]


def __getattr__(name: str) -> Any:
    """`ecg` when it is asked for: the table of simulators is read where nothing is simulated, and SciPy's filters take
    most of a second to import.
    """
    if name == "ecg":
        from anyecg.simulate.record import ecg

        return ecg
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
