"""The SCP-ECG statements that the simulator uses, described as PTB-XL's `scp_statements.csv` describes them."""

from __future__ import annotations

import pandas as pd

COLUMNS = (
    "description",
    "diagnostic",
    "form",
    "rhythm",
    "diagnostic_class",
    "diagnostic_subclass",
    "Statement Category",
    "SCP-ECG Statement Description",
    "AHA code",
    "aECG REFID",
    "CDISC Code",
    "DICOM Code",
)

# code: (description, roles d/f/r, superclass, subclass)
CODES: dict[str, tuple[str, str, str | None, str | None]] = {
    "NORM": ("normal ECG", "d", "NORM", "NORM"),
    "IMI": ("inferior myocardial infarction", "d", "MI", "IMI"),
    "AMI": ("anterior myocardial infarction", "d", "MI", "AMI"),
    "LVH": ("left ventricular hypertrophy", "d", "HYP", "LVH"),
    "LAFB": ("left anterior fascicular block", "d", "CD", "LAFB/LPFB"),
    "1AVB": ("first degree AV block", "d", "CD", "_AVB"),
    "CLBBB": ("complete left bundle branch block", "d", "CD", "CLBBB"),
    "CRBBB": ("complete right bundle branch block", "d", "CD", "CRBBB"),
    "ISCIN": ("ischemic in inferior leads", "d", "STTC", "ISCI"),
    "ISCAN": ("ischemic in anterior leads", "d", "STTC", "ISCA"),
    "ISCLA": ("ischemic in lateral leads", "d", "STTC", "ISCA"),
    "INJIN": ("subendocardial injury in inferior leads", "d", "MI", "IMI"),
    "INJLA": ("subendocardial injury in lateral leads", "d", "MI", "AMI"),
    "STE_": ("non-specific ST elevation", "f", None, None),
    "STD_": ("non-specific ST depression", "f", None, None),
    "INVT": ("inverted T-waves", "f", None, None),
    "QWAVE": ("Q waves present", "f", None, None),
    "LVOLT": ("low QRS voltages in the frontal and horizontal leads", "f", None, None),
    "PVC": ("ventricular premature complex", "f", None, None),
    "PAC": ("atrial premature complex", "f", None, None),
    "SR": ("sinus rhythm", "r", None, None),
    "SBRAD": ("sinus bradycardia", "r", None, None),
    "STACH": ("sinus tachycardia", "r", None, None),
    "SARRH": ("sinus arrhythmia", "r", None, None),
    "AFIB": ("atrial fibrillation", "r", None, None),
    "AFLT": ("atrial flutter", "r", None, None),
}

# What one of our findings is called beside its own code.
ALSO: dict[str, tuple[str, ...]] = {
    "infarct_inferior": ("QWAVE",),
    "infarct_anterior": ("QWAVE",),
    "t_inversion_inferior": ("ISCIN",),
    "t_inversion_anterior": ("ISCAN",),
    "t_inversion_lateral": ("ISCLA",),
    "st_depression_inferior": ("INJIN",),
    "st_depression_lateral": ("INJLA",),
}


def table() -> pd.DataFrame:
    """`scp_statements.csv`, indexed by code, in the columns of the real file."""
    rows = {}
    for code, (text, role, superclass, subclass) in CODES.items():
        rows[code] = {
            "description": text,
            "diagnostic": 1.0 if role == "d" else None,
            "form": 1.0 if role == "f" else None,
            "rhythm": 1.0 if role == "r" else None,
            "diagnostic_class": superclass,
            "diagnostic_subclass": subclass,
            "SCP-ECG Statement Description": text,
        }
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS))
