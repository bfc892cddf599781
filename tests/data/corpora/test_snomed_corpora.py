"""CPSC2018 and Chapman-Shaoxing-Ningbo: read as downloaded at any level, labelled by code, broken records told."""

import shutil
from collections import Counter

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from anyecg.data.corpora import corpora
from anyecg.data.corpora.csn import CONDITION_NAMES, UNLISTED
from anyecg.data.store.preprocess import canonical
from anyecg.data.store.store import Stores
from anyecg.findings import FINDINGS, find
from anyecg.simulate import cpsc2018 as cpsc2018_layout
from anyecg.simulate import csn as csn_layout
from anyecg.simulate import simulate
from anyecg.simulate.heart import LEADS
from anyecg.tasks.build import build_store
from anyecg.tasks.classification.build import classification_questions, label_universe
from anyecg.types import DataError

SOURCES = ("cpsc2018", "csn")
HEADER = "{name} 12 500 {samples}\n{leads}#Age: 74\n#Sex: Male\n{dx}\n#Rx: Unknown\n#Hx: Unknown\n#Sx: Unknown\n"


def opened(name, root, **settings):
    kind = corpora[name]
    return kind(kind.Config(root=str(root), **settings), root)


def write(folder, name, dx="#Dx: 426783006", samples=5000, said=None, leads=12, end="\n", form="4"):
    """A record written by another library's MATLAB v4 writer; `said` is the length its header gives."""
    folder.mkdir(parents=True, exist_ok=True)
    signal = np.random.default_rng(0).integers(-900, 900, (12, samples)).astype(np.int16)
    savemat(folder / f"{name}.mat", {"val": signal}, format=form)
    rows = "".join(f"{name}.mat 16+24 1000/mV 16 0 0 0 0 {lead}\n" for lead in LEADS[:leads])
    text = HEADER.format(name=name, samples=said or samples, leads=rows, dx=dx).replace("\n", end)
    (folder / f"{name}.hea").write_bytes(text.replace(f"{name} 12 ", f"{name} {leads} ").encode("latin-1"))
    return signal


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    root = tmp_path_factory.mktemp("snomed")
    for name in SOURCES:
        simulate(name, root / name, patients=40, seed=2, workers=1, progress=False)
    return root


@pytest.mark.parametrize("name", SOURCES)
def test_simulated_layout_is_read_whole(simulated, name):
    corpus = opened(name, simulated / name)
    entries = list(corpus.entries())
    lengths = set()
    for entry in entries:
        record = corpus.read(entry)
        assert (
            record.fs == 500
            and record.leads == LEADS
            and record.id == f"{name}/{entry.id}"
            and record.patient == record.id
        )
        stored = loadmat(simulated / name / f"{entry.path}.mat")["val"]  # as another reader sees it
        expected = np.where(stored == -(2**15), np.nan, stored / 1000)
        np.testing.assert_allclose(record.signal, expected, atol=1e-6)
        assert canonical(record)[1].sum() >= 11 and entry.labels and entry.statements
        assert all(path.is_file() for path in corpus.files(entry))
        lengths.add(record.signal.shape[1] / 500)
    assert lengths == {10.0} if name == "csn" else min(lengths) >= 6 and max(lengths) <= 60 and len(lengths) > 20
    assert {entry.split for entry in entries} == {"train", "val", "test"}
    assert (
        [entry.patient for entry in entries]
        == [entry.id for entry in entries]
        == sorted({entry.id for entry in entries})
    )
    listed = [
        f"{folder}{record}"
        for folder in (simulated / name / "RECORDS").read_text().split()
        for record in (simulated / name / folder / "RECORDS").read_text().split()
    ]
    assert listed == [entry.path for entry in entries]


@pytest.mark.parametrize(
    ("name", "inner"),
    [
        ("cpsc2018", "training"),
        ("cpsc2018", "training/cpsc_2018"),
        ("cpsc2018", "training/cpsc_2018/g1"),
        ("csn", "WFDBRecords"),
        ("csn", "WFDBRecords/01"),
    ],
)
def test_any_level_is_a_root(simulated, name, inner):
    whole, part = (list(opened(name, root).entries()) for root in (simulated / name, simulated / name / inner))
    assert [(e.id, e.split, e.statements) for e in whole] == [(e.id, e.split, e.statements) for e in part]
    assert all(f"{inner}/{b.path}" == a.path for a, b in zip(whole, part))


def test_both_layouts_of_the_challenges_and_other_sources_beside(tmp_path):
    write(tmp_path / "training" / "chapman_shaoxing" / "g1", "JS00001")
    write(tmp_path / "training" / "ningbo" / "g1", "JS10647")
    write(tmp_path / "training" / "georgia" / "g1", "E00001")
    write(tmp_path / "Training_WFDB", "A0001")
    csn = ["training/chapman_shaoxing/g1/JS00001", "training/ningbo/g1/JS10647"]
    assert [entry.path for entry in opened("csn", tmp_path).entries()] == csn
    assert [entry.path for entry in opened("cpsc2018", tmp_path).entries()] == ["Training_WFDB/A0001"]


def test_signal_of_another_writer(tmp_path):
    signal = write(tmp_path, "A0001")
    corpus = opened("cpsc2018", tmp_path)
    np.testing.assert_allclose(corpus.read(next(corpus.entries())).signal, signal / 1000, atol=1e-6)


@pytest.mark.parametrize(
    ("dx", "labels"),
    [
        ("#Dx: 59118001,426783006", ("59118001", "426783006")),
        ("#dx:59118001, 164889003", ("59118001", "164889003")),
        ("# Dx: 59118001", ("59118001",)),
        ("# DX : 59118001,59118001", ("59118001",)),
        ("#Dx: 59118001,Unknown", ("59118001",)),
        ("#Dx: Unknown", ()),
        ("#Dx: nan", ()),
        ("#Dx:", ()),
        ("", ()),
        ("#Dx: 59118001,AFIB,999999999", ("59118001",)),
        ("#Age: caf\xe9\n#Dx: 59118001", ("59118001",)),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_diagnoses(tmp_path, dx, labels, end):
    write(tmp_path, "A0001", dx, end=end)
    corpus = opened("cpsc2018", tmp_path)
    entry = next(corpus.entries())
    names = {
        "59118001": "Right bundle branch block",
        "426783006": "Normal sinus rhythm",
        "164889003": "Atrial fibrillation",
    }
    assert entry.labels == labels and entry.statements == tuple(names[code] for code in labels)
    assert corpus.read(entry).signal.shape == (12, 5000)


def test_a_code_without_a_name_is_told(tmp_path, caplog):
    for number in range(3):
        write(tmp_path, f"JS0000{number}", "#Dx: 426177001,4711,445118002")
    entries = list(opened("csn", tmp_path).entries())
    assert {(entry.labels, entry.statements) for entry in entries} == {
        (("426177001",), ("Sinus Bradycardia", "Left anterior fascicular block"))
    }
    assert "3 times" in caplog.text and "4711" in caplog.text and "445118002" not in caplog.text


def test_what_is_simulated_is_what_is_coded(tmp_path, monkeypatch):
    keys = {finding.key for finding in FINDINGS if finding.kind != "summary"}
    assert set(csn_layout.CODES) == keys and set(cpsc2018_layout.CODES) < keys
    for name, layout in (("cpsc2018", cpsc2018_layout), ("csn", csn_layout)):
        corpus_names = {**UNLISTED, **opened(name, tmp_path).published()}
        for key, codes in layout.CODES.items():
            read = find(". ".join(corpus_names[code] for code in codes))
            assert not read or key in read, f"{key} is coded as {read}"
        drawn = []
        record = layout.record
        monkeypatch.setattr(layout, "record", lambda *args: drawn.append(record(*args)) or drawn[-1])
        simulate(name, tmp_path / name, patients=25, seed=5, workers=1, progress=False)
        for entry, made in zip(opened(name, tmp_path / name).entries(), drawn, strict=True):
            held = {corpus_names[code] for key, codes in layout.CODES.items() if key in made.findings for code in codes}
            told = {name.lower() for name in held} or {"normal sinus rhythm"}
            assert {statement.lower() for statement in entry.statements} == told


def test_label_sets(tmp_path):
    cpsc = opened("cpsc2018", tmp_path)
    assert (
        len(cpsc.info()["labels"]["cpsc2018"]) == 9
        and cpsc.info()["labels"]["cpsc2018"]["429622005"] == "ST-segment depression"
    )
    # what its reports say
    assert cpsc.published()["429622005"] == "ST depression" == cpsc.info()["statements"]["429622005"]
    csn = opened("csn", tmp_path)
    assert len(csn.published()) == 55 and len(csn.info()["labels"]["csn"]) == 51
    merl = opened("csn", tmp_path, label_set="merl").info()["labels"]["csn"]
    assert len(merl) == 38 and "426177001" in csn.info()["labels"]["csn"] and "426177001" not in merl
    assert csn.published()["164909002"] == "left bundle branch block"  # the first of three rows of this code
    assert csn.published()["233896004"] == "Atrioventricular Node Reentrant Tachycardia"  # one blank
    assert not csn.published().keys() & UNLISTED.keys()


def test_the_source_s_own_names_are_preferred(tmp_path):
    write(tmp_path / "WFDBRecords", "JS00001", "#Dx: 426783006,1234567,284470004")
    rows = ["\ufeffAcronym Name,Full Name,Snomed_CT", "SR,Regular Rhythm,426783006", "NEW,new thing,1234567", "X,,"]
    (tmp_path / CONDITION_NAMES).write_text("\r\n".join(rows))
    entry = next(opened("csn", tmp_path).entries())
    assert entry.labels == ("426783006", "1234567") and entry.statements == ("Regular Rhythm", "New thing")
    assert opened("csn", tmp_path).info()["labels"]["csn"] == {"426783006": "Regular Rhythm"}
    (tmp_path / CONDITION_NAMES).write_text("Acronym,Code\nSR,1\n")
    with pytest.raises(DataError, match=f"{CONDITION_NAMES} has no column Acronym Name, Full Name"):
        opened("csn", tmp_path).info()


def test_classification_asks_of_test_records(simulated, tmp_path):
    stores = Stores([build_store(opened(name, simulated / name), tmp_path / name, progress=False) for name in SOURCES])
    universe, dropped = label_universe(stores), Counter()
    asked = list(classification_questions(stores, dropped))
    for split, sample in asked:
        names = sample.meta["labels"][sample.subset]
        assert split == "test" and names and set(names) <= set(universe[sample.subset][sample.subset])
    assert {sample.subset for _, sample in asked} == set(SOURCES)
    tested = sum(split == "test" for store in stores for (split,) in store.rows(["split"]))
    assert len(asked) + dropped["classification", "record without a label"] == tested


def test_of_two_records_of_one_name_the_first_is_kept(tmp_path, caplog):
    write(tmp_path / "g1", "A0001", "#Dx: 59118001")
    write(tmp_path / "g2", "A0001", "#Dx: 164889003")
    write(tmp_path / "g2", "A0002")
    entries = list(opened("cpsc2018", tmp_path).entries())
    assert [(entry.id, entry.path) for entry in entries] == [("A0001", "g1/A0001"), ("A0002", "g2/A0002")]
    assert entries[0].labels == ("59118001",)
    assert "1 record(s)" in caplog.text and "g2/A0001" in caplog.text


@pytest.mark.parametrize("name", SOURCES)
def test_a_root_without_records(tmp_path, name):
    with pytest.raises(DataError, match="lists no recording"):
        opened(name, tmp_path).entries()
    write(tmp_path, "E00001")
    with pytest.raises(DataError, match="lists no recording"):
        opened(name, tmp_path).entries()


def truncate(root):
    with (root / "JS00002.mat").open("r+b") as file:
        file.truncate(60001)


def merge_lines(root):
    """What JS01052 and JS23074 of the release look like: a lost line break."""
    lines = (root / "JS00002.hea").read_text().splitlines()
    (root / "JS00002.hea").write_text("\n".join([lines[0] + "00/mV 16 0 15 31255 0 I", *lines[2:]]) + "\n")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (truncate, "cut short"),
        (lambda root: (root / "JS00002.mat").unlink(), "signal missing"),
        (lambda root: (root / "JS00002.hea").unlink(), "signal missing"),
        (lambda root: (root / "JS00002.mat").write_bytes(b""), "no MATLAB v4 file"),
        (merge_lines, "has lines for 11 of 12 signals"),
        (lambda root: (root / "JS00002.hea").write_bytes(b"\x00\xff" * 50), "number of signals is 'not said'"),
        (lambda root: (root / "JS00002.hea").write_text(""), "number of signals is 'not said'"),
        (lambda root: write(root, "JS00002", said=6000), "of 5000 samples, its header says 12 of 6000"),
        (lambda root: write(root, "JS00002", said=4000), "of 5000 samples, its header says 12 of 4000"),
        (lambda root: write(root, "JS00002", leads=11), "12 leads of 5000 samples, its header says 11"),
        (lambda root: write(root, "JS00002", form="5"), "no MATLAB v4 file"),
    ],
    ids=[
        "truncated",
        "no signal",
        "no header",
        "empty",
        "merged lines",
        "no text",
        "empty header",
        "said too long",
        "said too short",
        "a lead short",
        "v5",
    ],
)
def test_broken_records_are_skipped_and_counted(tmp_path, spoil, message):
    root = tmp_path / "root"
    for number in (1, 2, 3):
        write(root, f"JS0000{number}")
    spoil(root)
    corpus = opened("csn", root)
    broken = list(corpus.entries())[1]
    with pytest.raises(DataError, match=f"(?s){root}/JS00002.*{message}"):
        corpus.read(broken)
    store = build_store(corpus, tmp_path / "store", progress=False)
    assert (store.summary["records"], store.summary["skipped"]) == (2, 1) and "JS00002" in (
        tmp_path / "store" / "skipped.csv"
    ).read_text()


def test_entries_are_the_same_wherever_they_lie(simulated, tmp_path):
    shutil.copytree(simulated / "csn", tmp_path / "moved")
    assert list(opened("csn", simulated / "csn").entries()) == list(opened("csn", tmp_path / "moved").entries())
    assert len(list(opened("csn", tmp_path / "moved", limit=3).entries())) == 3
