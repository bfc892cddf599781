"""Mutated files of every format: no exception but the product's own, no hang, and what a checksum or a length tells is
told."""

import logging
import time

import h5py
import numpy as np
import pytest

from anyecg.data.own import read_ecg
from anyecg.types import AnyECGError, DataError
from tests.data.own.clinical_files import aecg, atc, ishne, muse, schiller, scp, sierra
from tests.data.own.own_files import FS, LEADS, SIGNAL, group, table, write_dicom, write_edf, write_wfdb

SHORT = SIGNAL[:, :600]
WORDS = {"fs": FS, "leads": LEADS}
SECONDS = 10.0
SILENT = 0.02  # share of samples that may differ without a word
TIME = np.arange(600) / FS


def hdf5(path):
    with h5py.File(path, "w") as file:
        file["signal"] = SHORT.astype(np.float32)
        file.attrs["fs"] = FS
    return path


def matlab(path):
    from scipy.io import savemat

    savemat(path, {"val": SHORT, "fs": FS})
    return path


def text(path, **options):
    table(signal=SHORT).assign(time=TIME).to_csv(path, index=False, **options)
    return path


def array(path):
    np.save(path, SHORT)
    return path


def archive(path):
    np.savez_compressed(path, signal=SHORT, fs=FS, leads=LEADS)
    return path


WRITERS = {
    "wfdb.dat": (lambda folder: write_wfdb(folder, SHORT).with_suffix(".dat"), {}),
    "wfdb.hea": (lambda folder: write_wfdb(folder, SHORT), {}),
    "edf": (lambda folder: write_edf(folder / "own.edf"), {}),
    "bdf": (lambda folder: write_edf(folder / "own.bdf"), {}),
    "dicom": (lambda folder: write_dicom(folder / "own.dcm", group(SHORT, "RHYTHM")), {}),
    "csv": (lambda folder: text(folder / "own.csv"), {}),
    "csv of semicolons": (lambda folder: text(folder / "own.csv", sep=";", decimal=","), {}),
    "tsv": (lambda folder: text(folder / "own.tsv", sep="\t"), {}),
    "npy": (lambda folder: array(folder / "own.npy"), WORDS),
    "npz": (lambda folder: archive(folder / "own.npz"), {}),
    "mat": (lambda folder: matlab(folder / "own.mat"), {"leads": LEADS}),
    "hdf5": (lambda folder: hdf5(folder / "own.h5"), {"leads": LEADS}),
    "scp": (lambda folder: scp(folder / "own.scp"), {}),
    "scp, beats": (lambda folder: scp(folder / "own.scp", beats=(500, 1200)), {}),
    "atc": (lambda folder: atc(folder / "own.atc"), {}),
    "ishne": (lambda folder: ishne(folder / "own.ecg"), {}),
    "aecg": (lambda folder: aecg(folder / "own.xml"), {}),
    "muse": (lambda folder: muse(folder / "own.xml"), {}),
    "sierra": (lambda folder: sierra(folder / "own.xml"), {}),
    "schiller": (lambda folder: schiller(folder / "own.xml"), {}),
}
# Formats that say the length and a checksum of their samples: what changes them is told.
TOLD = ("wfdb.dat", "scp", "scp, beats", "npz", "atc")


def mutated(data, rng):
    """One change: a bit, a byte, a cut, an insertion, a deletion, a repeat or a digit; most of them near the start."""
    data = bytearray(data)
    start = int(rng.integers(min(2000, len(data)))) if rng.random() < 0.6 else int(rng.integers(len(data)))
    size = int(rng.integers(1, 9))
    kind = rng.integers(7)
    if kind == 0:
        data[start] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        data[start] = int(rng.integers(256))
    elif kind == 2:
        del data[start:]
    elif kind == 3:
        data[start:start] = rng.bytes(size)
    elif kind == 4:
        del data[start : start + size]
    elif kind == 5:
        data[start:start] = data[start : start + size]
    else:
        digits = [place for place, byte in enumerate(data[:4000]) if 48 <= byte <= 57]
        if digits:
            data[digits[int(rng.integers(len(digits)))]] = 48 + int(rng.integers(10))
    return bytes(data)


def differs(record, truth):
    if (record.fs, record.leads, record.signal.shape) != (truth.fs, truth.leads, truth.signal.shape):
        return True
    same = np.isclose(record.signal, truth.signal, atol=1e-3, equal_nan=True)
    return 1 - same.mean() > SILENT


@pytest.mark.parametrize("kind", WRITERS)
def test_mutated_files(tmp_path, kind, caplog):
    caplog.set_level(logging.ERROR)
    write, words = WRITERS[kind]
    path = write(tmp_path)
    whole, truth = path.read_bytes(), read_ecg(path, **words)
    rng = np.random.default_rng(len(kind))
    for _ in range(12):
        path.write_bytes(mutated(whole, rng))
        began = time.process_time()
        try:
            record = read_ecg(path, **words)
        except AnyECGError as error:
            assert "own" in str(error) and len(str(error)) < 2000
        else:
            assert np.isfinite(record.signal).any() and record.fs > 0
            if kind in TOLD:
                assert record.notes != truth.notes or not differs(record, truth)
        assert time.process_time() - began < SECONDS


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITERS)
def test_many_mutated_files(tmp_path, kind, caplog):
    caplog.set_level(logging.ERROR)
    write, words = WRITERS[kind]
    path = write(tmp_path)
    whole, truth = path.read_bytes(), read_ecg(path, **words)
    rng, silent = np.random.default_rng(7), []
    for number in range(200):
        path.write_bytes(mutated(whole, rng))
        try:
            record = read_ecg(path, **words)
        except AnyECGError:
            continue
        if record.notes == truth.notes and differs(record, truth):
            silent.append(number)
    assert not silent or kind not in TOLD, silent


def test_a_header_of_gaps_takes_no_memory(tmp_path):
    write_wfdb(tmp_path, SHORT, name="part")
    (tmp_path / "own.hea").write_text(f"own/2 12 {FS:g} 400000600\npart 600\n~ 400000000\n")
    with pytest.raises(DataError, match="nearly all of it"):
        read_ecg(tmp_path / "own.hea")


def test_entities_of_xml_are_not_expanded(tmp_path):
    bomb = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    for writer in (muse, aecg, schiller):
        path = writer(tmp_path / "own.xml")
        body = path.read_text().split("?>", 1)[1]
        body = body[body.index(">") + 1 :] if body.startswith("<!DOCTYPE") else body
        path.write_text(f'<?xml version="1.0"?>{bomb}{body}')
        with pytest.raises(DataError, match="own.xml"):
            read_ecg(path)
