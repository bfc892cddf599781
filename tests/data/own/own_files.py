"""One simulated ECG in every format a user may bring, each written by the format's own library."""

import edfio
import numpy as np
import pandas as pd
import pydicom
import wfdb
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, TwelveLeadECGWaveformStorage, generate_uid

from anyecg.data.store.preprocess import canonical
from anyecg.simulate import ecg
from anyecg.types import CANONICAL_LEADS

LEADS, FS = CANONICAL_LEADS, 500.0
SIGNAL = ecg(["sinus_rhythm"], seconds=6, fs=FS, seed=4)[0].astype(float)
TIME = np.arange(SIGNAL.shape[1]) / FS


def write_wfdb(folder, signal=SIGNAL, leads=LEADS, units="mV", name="own"):
    count = len(leads)
    wfdb.wrsamp(
        name,
        FS,
        [units] * count,
        list(leads),
        p_signal=signal.T,
        fmt=["16"] * count,
        adc_gain=[1000.0] * count,
        baseline=[0] * count,
        write_dir=str(folder),
    )
    return folder / f"{name}.hea"


def write_edf(path, signals=None, **options):
    bdf = path.suffix == ".bdf"
    kind, file = (edfio.BdfSignal, edfio.Bdf) if bdf else (edfio.EdfSignal, edfio.Edf)
    signals = signals or [(f"ECG {lead}", row * 1000, FS, "uV") for lead, row in zip(LEADS, SIGNAL)]
    file(
        [
            kind(np.asarray(row, float), fs, label=label, physical_dimension=unit, physical_range=(-8000, 8000))
            for label, row, fs, unit in signals
        ],
        **options,
    ).write(path)
    return path


def coded(**words):
    code = Dataset()
    for name, value in words.items():
        setattr(code, name, value)
    return code


def group(signal, label, leads=LEADS, fs=FS, meaning="Lead {}", unit="uV", baseline=0.0, padding=None):
    """A multiplex group: 16 bits, 2.5 uV a step (or 0.0025 of another unit)."""
    step = 2.5 if unit == "uV" else 0.0025
    made = Dataset()
    made.MultiplexGroupLabel, made.SamplingFrequency = label, fs
    made.NumberOfWaveformChannels, made.NumberOfWaveformSamples = signal.shape
    made.WaveformBitsAllocated, made.WaveformSampleInterpretation = 16, "SS"
    made.ChannelDefinitionSequence = []
    for lead in leads:
        channel = Dataset()
        channel.ChannelSourceSequence = [
            coded(CodeValue="2:0", CodingSchemeDesignator="MDC", CodeMeaning=meaning.format(lead))
        ]
        channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor, channel.ChannelBaseline = (
            step,
            1,
            baseline,
        )
        if unit:
            channel.ChannelSensitivityUnitsSequence = [
                coded(CodeValue=unit, CodingSchemeDesignator="UCUM", CodeMeaning="volts")
            ]
        made.ChannelDefinitionSequence.append(channel)
    raw = np.rint((signal * (1000 if unit == "uV" else 1) - baseline) / step)
    if padding is not None:
        made.WaveformPaddingValue = np.array(padding, "<i2").tobytes()
        raw = np.where(np.isnan(raw), padding, raw)
    made.WaveformData = np.ascontiguousarray(raw.T).astype("<i2").tobytes()
    return made


def write_dicom(path, *groups):
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = TwelveLeadECGWaveformStorage, generate_uid()
    data.PatientName, data.PatientID, data.Modality = "Doe^Jane", "12345", "ECG"
    if groups:
        data.WaveformSequence = list(groups)
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID, data.file_meta.MediaStorageSOPInstanceUID = (
        data.SOPClassUID,
        data.SOPInstanceUID,
    )
    pydicom.dcmwrite(path, data, enforce_file_format=True)
    return path


def table(leads=LEADS, signal=SIGNAL):
    return pd.DataFrame(signal.T, columns=list(leads))


def written(folder, suffix):
    path = folder / f"own{suffix}"
    if suffix == ".dat":
        write_wfdb(folder)
    elif suffix in (".edf", ".bdf"):
        write_edf(path)
    elif suffix == ".dcm":
        write_dicom(path, group(SIGNAL, "RHYTHM"))
    elif suffix == ".csv":
        table().assign(t=TIME).to_csv(path, index=False)
    elif suffix == ".npy":
        np.save(path, SIGNAL)
    else:
        np.savez_compressed(path, signal=SIGNAL)
    return path


def equals(record, step, leads=LEADS, signal=SIGNAL, fs=FS):
    """The record is the written signal to within half a step (mV), and goes on to what a model sees."""
    assert record.signal.dtype == np.float32 and record.signal.shape == signal.shape and record.fs == fs
    assert record.leads == tuple(leads)
    np.testing.assert_allclose(record.signal, signal, atol=step / 2 * 1.01, rtol=1e-6)
    shown, mask, broken = canonical(record)
    assert mask.sum() == len(leads) and np.isfinite(shown).all() and broken == np.isnan(signal).sum()
    return True
