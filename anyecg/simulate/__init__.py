"""A simulator of ECGs: WFDB files in each source's native layout, with reports and annotations true of the signal."""

from pathlib import Path

from anyecg.registry import Registry
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
