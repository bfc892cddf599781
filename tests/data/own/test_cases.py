"""The inputs of /work/shared/cases that went wrong once: each reads as it should, is refused clearly, or is noted."""

from pathlib import Path

import numpy as np
import pytest

from anyecg.data.own import read_ecg
from anyecg.types import CANONICAL_LEADS, DataError

CASES = next(
    (
        folder
        for folder in (Path(__file__).parents[4] / "shared" / "cases", Path("/work/shared/cases"))
        if folder.is_dir()
    ),
    None,
)
pytestmark = pytest.mark.skipif(CASES is None, reason="needs ../shared/cases")
TWELVE = {"fs": 500, "leads": list(CANONICAL_LEADS)}

# case -> (file, words, leads, Hz, samples, highest mV): what is read
READ = {
    "csv-apple-watch": ("own.csv", {}, ("I",), 512, 600, 1.001),
    "csv-blanks-and-decimal-commas": ("own.txt", {"fs": 500, "leads": ["II", "V1"]}, ("II", "V1"), 500, 600, 1.001),
    "csv-excel-error-cells": ("own.csv", {"fs": 500}, ("II", "V1"), 500, 600, 1.001),
    "csv-physiobank-atm-uV": ("own.csv", {"fs": 500, "leads": ["t", "II", "V1"]}, ("II", "V1"), 500, 600, 0.02002),
    "csv-pipes": ("own.csv", {}, ("II", "V1"), 500, 600, 1.001),
    "csv-rdsamp-text": ("own.txt", {}, ("II", "V1"), 500, 600, 1.001),
    "csv-separator-at-line-ends": ("own.csv", {}, ("II", "V1"), 500, 600, 1.001),
    "csv-thousands-dot": ("own.csv", {}, ("II", "V1"), 500, 600, 3.002),
    "csv-time-of-hundredths": ("own.csv", {}, ("II",), 500, 600, 1.001),
    "csv-transposed": ("own.csv", {"fs": 500}, ("II", "V1"), 500, None, None),
    "csv-units-row-with-ohm": ("own.csv", {}, ("II", "V1"), 500, 600, 1.001),
    "dicom-3x4-groups": ("own.dcm", {}, CANONICAL_LEADS, 100, 300, 2.142),
    "dicom-no-preamble": ("own.dcm", {}, CANONICAL_LEADS, 100, 300, 2.142),
    "dicom-respiration-is-longer": ("own.dcm", {}, CANONICAL_LEADS, 100, 300, 2.142),
    "edf-label-in-brackets": ("own.edf", {}, ("V5",), 100, 600, 1.02),
    "edf-records-minus-1": ("own.edf", {}, ("II",), 100, 600, 1.02),
    "edf-trailing-newline": ("own.edf", {}, ("II",), 100, 600, 1.02),
    "edf-utf8-micro-units-given": ("own.edf", {"units": "uV"}, ("II",), 100, 600, 1.02),
    "npy-leads-as-array": ("own.npy", {"fs": 500, "leads": np.array(CANONICAL_LEADS)}, CANONICAL_LEADS, 500, 100, None),
    "npz-leads-as-bytes": ("own.npz", {"units": "uV"}, CANONICAL_LEADS, 500, 100, None),
    "npz-unit-a-lead": ("own.npz", {}, CANONICAL_LEADS, 500, 100, 0.1505),
    "npz-unit-in-an-array": ("own.npz", {}, CANONICAL_LEADS, 500, 100, 0.1505),
    "wfdb-micro-unit": ("own.hea", {}, ("II",), 250, 500, 0.9756),
    "wfdb-rate-missing": ("own.hea", {"fs": 500}, ("II",), 500, 500, 0.975),
    "wfdb-segments-absent-lead": ("own.hea", {}, ("II",), 250, 500, 0.975),
    "wfdb-segments-no-total": ("own.hea", {}, ("II",), 250, 500, 0.975),
    "wfdb-segments-of-two-units": ("own.hea", {}, ("II",), 250, 500, 0.975),
    "wfdb-segments-variable-two-units": ("own.hea", {}, ("II",), 250, 500, 0.975),
}
# case -> (file, words, what the refusal says)
REFUSED = {
    "csv-apple-watch-german": ("own.csv", {}, "2,500 with a decimal comma and 2.500 with a point"),
    "csv-last-line-of-words": ("own.csv", {}, "line 602 reads 'End of data', which is no row"),
    "csv-openbci": ("own.txt", {}, "none of its channels is a lead by its name .*EXG Channel 0"),
    "csv-r-default-names": ("own.csv", {"fs": 500}, "V1 to V12, as R calls columns without a name"),
    "csv-unit-of-some-columns": ("own.csv", {}, "the unit of I, V1 .uV., does not say the unit of II"),
    "dicom-mu-law": ("own.dcm", {}, "its samples are MB, which is no linear number"),
    "dicom-sensitivity-0": ("own.dcm", {}, "a sensitivity of 0"),
    "edf-duration-0": ("own.edf", {}, "a data record lasts 0 s"),
    "edf-label-inverted": ("own.edf", {}, "aVR .inverted."),
    "wfdb-file-longer-than-header": ("own.hea", {}, "1,000 bytes, own.hea says 50 samples"),
    "wfdb-gain-0": ("own.hea", {}, "a gain of 0"),
    "wfdb-mat-of-12-leads": ("own.mat", {}, "holds 12 leads of 500 samples, its header says 2"),
    "wfdb-mat-v5": ("own.mat", {}, "is no MATLAB v4 file"),
    "wfdb-offset-missing": ("own.hea", {}, "1,024 bytes, own.hea says 500 samples"),
    "wfdb-rate-exponent": ("own.hea", {}, "'1e3', no number of Hz"),
    "wfdb-segments-shorter-total": ("own.hea", {}, "says 50 samples, its segments are 500 long"),
    "wfdb-three-bytes-inserted": ("own.hea", {}, "1,003 bytes"),
}
# case -> (file, words, what a note says)
NOTED = {
    "csv-volts": ("own.csv", {"fs": 500}, "taken as mV, its largest lead spans 0.0012 mV"),
    "dicom-no-padding-value": ("own.dcm", {}, "-81.92 mV stands for no sample"),
    "dicom-sample-skew": ("own.dcm", {}, "Lead V6: begins 3 samples after the others"),
    "edf-padded-with-minimum": ("sample.edf", {}, "-32.768 mV stands for no sample in ECG (3,000 samples)"),
    "npy-minus-32768": ("own.npy", {**TWELVE, "units": "uV"}, "are -32768, which stands for none in 16 bits"),
    "wfdb-gain-1": ("own.hea", {}, "its leads span 213 mV (II), which no ECG does"),
}


@pytest.mark.parametrize("case", READ)
def test_read(case):
    file, words, leads, fs, samples, highest = READ[case]
    record = read_ecg(CASES / case / file, **words)
    assert record.leads == tuple(leads) and record.fs == fs
    assert samples is None or record.signal.shape[1] == samples
    assert highest is None or np.nanmax(record.signal) == pytest.approx(highest, rel=2e-3)


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    file, words, message = REFUSED[case]
    with pytest.raises(DataError, match=message) as caught:
        read_ecg(CASES / case / file, **words)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("case", NOTED)
def test_noted(case):
    file, words, message = NOTED[case]
    assert any(message in note for note in read_ecg(CASES / case / file, **words).notes)


def test_every_case_is_here():
    kinds = ("csv", "dicom", "edf", "npy", "npz", "wfdb")
    there = {folder.name for folder in CASES.iterdir() if folder.name.split("-")[0] in kinds}
    assert there == READ.keys() | REFUSED.keys() | NOTED.keys()
