"""Real data as open packs: PTB-XL's folds, its reports in English, and the QT Database's episodes."""

from collections import Counter, defaultdict

import numpy as np
import pandas as pd
import pytest
import wfdb

from anyecg.data.corpora import corpora, glossary
from anyecg.data.corpora.ptbxl_packs import LEADS, pack_name, read_pack, write_pack
from anyecg.data.store.shards import build_store
from anyecg.data.store.store import Stores
from anyecg.simulate.scp import table
from anyecg.tasks.localization.build import LocalizationConfig, episodes, localization_questions
from anyecg.types import DataError
from tests.data.native import REAL

real = pytest.mark.skipif(not (REAL / "ptbxl_full").is_dir(), reason="no open data beside the checkout")
FOLDS = (1, 7, 8, 9)


def opened(name, root, **settings):
    kind = corpora[name]
    return kind(kind.Config(root=str(root), **settings), root)


@pytest.fixture(scope="module")
def packs(tmp_path_factory):
    """Two records a fold: packs in one folder, the records themselves in another."""
    root, native = tmp_path_factory.mktemp("packs"), tmp_path_factory.mktemp("native")
    rng, rows = np.random.default_rng(0), []
    reports = ["sinusrhythmus linkstyp sonst normales ekg 4.46    unbestätigter bericht", "sinus rhythm. normal ecg."]
    codes = ["{'NORM': 80.0, 'SR': 0.0}", "{'SR': 0.0, 'LVH': 15.0, 'IMI': 100.0, 'AMI': 35.0}"]
    for n, fold in enumerate(FOLDS):
        ids = np.array([2 * n + 1, 2 * n + 2])
        signal = rng.integers(-3000, 3000, (2, 12, 1000)).astype(np.int16)
        write_pack(root / pack_name(fold), ids, signal)
        for k, id in enumerate(ids):
            name = f"{id:05d}_lr"
            (native / "records100/00000").mkdir(parents=True, exist_ok=True)
            wfdb.wrsamp(
                name, 100, ["mV"] * 12, list(LEADS), d_signal=signal[k].T.astype(int), fmt=["16"] * 12,
                adc_gain=[1000.0] * 12, baseline=[0] * 12, write_dir=str(native / "records100/00000"),
            )  # fmt: skip
            rows.append({
                "ecg_id": id, "patient_id": float(100 + n), "recording_date": "1990-01-01 10:00:00",
                "scp_codes": codes[k], "report": reports[k], "strat_fold": fold,
                "filename_lr": f"records100/00000/{name}", "filename_hr": "",
            })  # fmt: skip
    for folder in (root, native):
        pd.DataFrame(rows).to_csv(folder / "ptbxl_database.csv", index=False)
        table().to_csv(folder / "scp_statements.csv")
    return root, native


def test_a_pack_gives_what_the_records_give(packs, tmp_path):
    packed, native = (opened("ptbxl", root) for root in packs)
    records = {entry.id: native.read(entry) for entry in native.entries()}
    for entry in packed.entries():
        record, other = packed.read(entry), records[entry.id]
        assert (record.fs, [*map(str.upper, record.leads)]) == (other.fs, [*map(str.upper, other.leads)])
        assert np.array_equal(record.signal, other.signal)
    stores = [build_store(corpus, tmp_path / str(n), progress=False) for n, corpus in enumerate((packed, native))]
    for id in stores[0].records.index:
        assert np.array_equal(stores[0].read(id)[0], stores[1].read(id)[0])


def test_folds_are_splits_where_fold_10_is_not_there(packs):
    entries = list(opened("ptbxl", packs[0]).entries())
    assert [entry.split for entry in entries] == ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    assert [entry.id for entry in entries] == [str(n) for n in range(1, 9)]


def test_a_damaged_or_missing_pack_is_said_of_its_records(packs, tmp_path):
    for name in ("ptbxl_database.csv", "scp_statements.csv"):
        (tmp_path / name).write_bytes((packs[0] / name).read_bytes())
    whole = (packs[0] / pack_name(1)).read_bytes()
    (tmp_path / pack_name(1)).write_bytes(whole[: len(whole) // 2])
    corpus = opened("ptbxl", tmp_path)
    first, *_, last = corpus.entries()
    for entry, reason in ((first, "no sound pack"), (last, "no sound pack")):
        with pytest.raises(DataError, match=reason):
            corpus.read(entry)
    with pytest.raises(DataError, match="records to records100"):
        opened("ptbxl", packs[0], records="records500").read(first)


def test_reports_say_superclasses_and_how_sure_a_code_is(packs):
    normal, ill, *_ = opened("ptbxl", packs[0], likelihoods=True, superclasses=True).entries()
    assert normal.statements == ("Normal ECG", "Probable normal ECG", "Sinus rhythm")
    assert ill.statements == (
        "Myocardial infarction", "Hypertrophy", "Inferior myocardial infarction",
        "Possible anterior myocardial infarction", "Possible left ventricular hypertrophy", "Sinus rhythm",
    )  # fmt: skip
    assert ill.labels == ("SR", "LVH", "IMI", "AMI")
    plain = list(opened("ptbxl", packs[0]).entries())[1]
    assert plain.statements[:2] == ("Sinus rhythm", "Left ventricular hypertrophy")


def test_written_reports_become_english_by_the_glossary(packs):
    german, english, *_ = opened("ptbxl", packs[0], report="english").entries()
    assert german.statements == ("Sinus rhythm", "Leftward axis", "Otherwise normal ECG")
    assert english.statements == ("Sinus rhythm", "Normal ECG")
    found = glossary.english("inferiorer infarkt möglich, brontosaurus t abnorm in hochlateralen ableitungen")
    assert found.phrases == ("possible inferior infarct", "T wave abnormality in high lateral leads")
    assert (found.words, found.covered) == (8, 7)
    assert glossary.english("").phrases == ()


def test_an_episode_reaches_from_its_begin_to_its_end():
    marks = [
        (5.0, "(ST0-"),
        (7.0, "N"),
        (8.0, "(ST1--"),
        (9.0, "ST0-)"),
        (12.0, "ST1--)"),
        (20.0, "(T0+"),
        (30.0, "ST0-)"),
    ]
    times, symbols = map(np.array, zip(*marks))
    assert episodes(times, symbols, "ST-", 60.0).tolist() == [[0.0, 30.0]]
    assert episodes(times[:5], symbols[:5], "ST-", 60.0).tolist() == [[5.0, 12.0]]
    assert episodes(times, symbols, "T+", 60.0).tolist() == [[20.0, 60.0]]
    assert len(episodes(times, symbols, "ST+", 60.0)) == 0


@real
def test_real_packs_hold_no_patient_and_no_recording_twice_over_splits():
    corpus = opened("ptbxl", REAL / "ptbxl_full", likelihoods=True, superclasses=True)
    entries, where = list(corpus.entries()), defaultdict(set)
    for entry in entries:
        where[entry.patient].add(entry.split)
    assert len(entries) == 19601 and all(len(splits) == 1 for splits in where.values())
    assert Counter(entry.split for entry in entries) == {"train": 15245, "val": 2173, "test": 2183}
    assert all(entry.statements for entry in entries)
    seen = defaultdict(set)  # samples -> splits, of the validation and the test fold and one training fold
    for fold, split in ((1, "train"), (8, "val"), (9, "test")):
        _, signal = read_pack(REAL / "ptbxl_full" / pack_name(fold))
        for one in signal:
            seen[one.tobytes()].add(split)
    assert all(len(splits) == 1 for splits in seen.values())


@real
def test_the_glossary_reads_most_words_of_the_real_reports():
    reports = pd.read_csv(REAL / "ptbxl_full" / "ptbxl_database.csv")["report"].fillna("")
    read = [glossary.english(report) for report in reports]
    assert sum(one.covered for one in read) / sum(one.words for one in read) > 0.95
    assert sum(not one.phrases for one in read) < 0.02 * len(read)


@real
def test_real_episodes_are_asked_for_as_they_are_annotated(tmp_path):
    corpus = opened("qtdb", REAL / "qtdb_edb")
    entries = list(corpus.entries())
    assert len(entries) == 33 and len({entry.patient for entry in entries}) == 30
    store = build_store(corpus, tmp_path, progress=False)
    cfg = LocalizationConfig(pools=["localization_short"], windows_per_record=2, classes=["V", "ST-", "T+"])
    found = [sample for _, sample in localization_questions(Stores([store]), cfg, 0, Counter())]
    kinds = Counter((sample.meta["symbol"], bool(sample.meta["intervals"])) for sample in found)
    assert {symbol for symbol, _ in kinds} == {"V", "ST-", "T+"}
    assert all(kinds[symbol, True] and kinds[symbol, False] for symbol in ("V", "ST-", "T+"))
