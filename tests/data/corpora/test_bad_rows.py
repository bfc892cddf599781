"""Bad rows of an index and bad recordings: each is skipped and listed with its reason, and costs no other; a bad
file is told once.
"""

import shutil

import pandas as pd
import pytest

from anyecg.data.corpora import corpora
from anyecg.data.corpora.csn import CONDITION_NAMES
from anyecg.data.corpora.lines import sound
from anyecg.data.store import shards
from anyecg.data.store.index import Index
from anyecg.simulate import simulate
from anyecg.tasks.build import build_store
from anyecg.types import DataError
from tests.data.native import REAL, real_data, write_annotated

INDEX = "ptbxl_database.csv"
CODES = "scp_statements.csv"


def opened(name, root, **settings):
    kind = corpora[name]
    return kind(kind.Config(root=str(root), **settings), root)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    for name in ("mimic", "ptbxl"):
        simulate(name, folder / name, patients=4, seed=3, workers=1, progress=False)
    return folder


@pytest.fixture
def ptbxl(sets, tmp_path):
    return shutil.copytree(sets / "ptbxl", tmp_path / "ptbxl")


@pytest.fixture
def mimic(sets, tmp_path):
    return shutil.copytree(sets / "mimic", tmp_path / "mimic")


def listed(corpus, tmp_path):
    """(ids stored, id -> reason of those skipped) of a build."""
    store = build_store(corpus, tmp_path / "store", progress=False)
    skipped = pd.read_csv(tmp_path / "store" / "skipped.csv", keep_default_na=False)
    assert store.summary["skipped"] == len(skipped)
    return list(store.records["id"]), dict(zip(skipped["id"], skipped["reason"]))


def edited(path, change, **options):
    """A CSV file rewritten after `change` was done to it, as text."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False, **options)
    change(table)
    table.to_csv(path, index=bool(options))


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("scp_codes", "", "scp_codes nan is no dictionary"),
        ("scp_codes", "{'NORM': 1", "scp_codes .* is no dictionary"),
        ("scp_codes", "['NORM']", "scp_codes .* is no dictionary"),
        ("scp_codes", "{'NORM': 'yes'}", "scp_codes .* is no dictionary"),
        ("scp_codes", "(" * 5000, "scp_codes .* is no dictionary"),
        ("filename_lr", "", "filename_lr is empty"),
        ("ecg_id", "", "ecg_id is empty"),
        ("patient_id", "unknown", "patient_id unknown is no number"),
        ("patient_id", "", "patient_id nan is no number"),
        ("strat_fold", "", "strat_fold nan is none of 1 to 10"),
        ("strat_fold", "eleven", "is none of"),
        ("strat_fold", "11", "is none of"),
        ("filename_lr", "records100/" + "x" * 300, "signal missing"),
        ("filename_lr", "records100/nothing", "signal missing"),
    ],
)
def test_a_bad_row_of_ptbxl(ptbxl, tmp_path, column, value, reason):
    before = [f"ptbxl/{entry.id}" for entry in opened("ptbxl", ptbxl).entries()]
    edited(ptbxl / INDEX, lambda table: table.__setitem__(column, [value, *table[column][1:]]))
    stored, skipped = listed(opened("ptbxl", ptbxl), tmp_path)
    assert stored == before[1:] and list(skipped) == ["ptbxl/?" if column == "ecg_id" else before[0]]
    assert pd.Series(skipped).str.contains(reason).all(), skipped


def test_a_date_that_is_none_costs_nothing(ptbxl, tmp_path):
    edited(ptbxl / INDEX, lambda table: table.__setitem__("recording_date", ["some day", *table["recording_date"][1:]]))
    first, second, *_ = opened("ptbxl", ptbxl).entries()
    assert first.time == "" and second.time[4] == "-" and second.time[10] == "T"


def test_a_ragged_line_and_bytes_that_are_no_text(ptbxl, tmp_path):
    lines = (ptbxl / INDEX).read_bytes().split(b"\n")
    before = [f"ptbxl/{entry.id}" for entry in opened("ptbxl", ptbxl).entries()]
    lines[1] += b",one,two"
    lines[2] = lines[2].replace(b"records100", b"records100\xff", 1)
    (ptbxl / INDEX).write_bytes(b"\n".join(lines))
    codes = (ptbxl / CODES).read_text().split("\n")
    (ptbxl / CODES).write_text("\n".join([*codes[:5], f"{codes[5]},too,many", *codes[6:]]))
    stored, skipped = listed(opened("ptbxl", ptbxl), tmp_path)
    assert stored == before[2:] and set(skipped) == {"ptbxl/?", before[1]}
    rows = pd.read_csv(tmp_path / "store" / "skipped.csv").query("id == 'ptbxl/?'")
    assert list(rows["path"]) == [CODES, INDEX] and rows["reason"].str.contains(r"line \d+: \d+ fields, not").all()


def test_a_quote_that_is_never_closed_costs_its_line_only(ptbxl):
    before = list(opened("ptbxl", ptbxl).entries())
    lines = (ptbxl / INDEX).read_text().split("\n")
    lines[1] = lines[1].replace("records100/", '"records100/', 1).replace(",records100", ',"records100', 1)
    assert lines[1].count('"') % 2
    (ptbxl / INDEX).write_text("\n".join(lines))
    corpus = opened("ptbxl", ptbxl)
    assert (
        list(corpus.entries()) == before[1:]
        and len(corpus.rejected) == 1
        and f"{INDEX}, line 2: " in next(iter(corpus.rejected)).reason
    )


@pytest.mark.parametrize(
    ("text", "kept", "wrong"),
    [
        ("a,b\n1,2\n3,4", "a,b\n1,2\n3,4", []),
        ("a,b\r\n1,2\r\n", "a,b\r\n1,2\r\n", []),
        ("", "", []),
        ("a,b\n1\n\n2,3\n", "a,b\n1\n\n2,3\n", []),
        ('a,b\n1,"x, ""y"",\nz"\n', 'a,b\n1,"x, ""y"",\nz"\n', []),
        ("a,b\n1,2,3\n4,5\n", "a,b\n4,5\n", ["line 2: 3 fields, not 2: 1,2,3"]),
        ('a,b,c\n1,"2,3\n4,5,6\n7,8,9\n', "a,b,c\n4,5,6\n7,8,9\n", ['line 2: 2 fields, not 3: 1,"2,3']),
        ('a,b,c\n1,"2,3\n4,5,6\n"7",8,9\n', 'a,b,c\n4,5,6\n"7",8,9\n', ["line 2"]),
        ('a,b\n1,"2' + "x,y\n" * 50_000, "a,b\n" + "x,y\n" * 49_999, ["line 2: field larger than field limit"]),
    ],
)
def test_lines_of_rows(text, kept, wrong):
    found, faults = sound(text.splitlines(keepends=True))
    assert (
        "".join(found) == kept
        and len(faults) == len(wrong)
        and all(fault.startswith(words) for fault, words in zip(faults, wrong))
    )


@pytest.mark.parametrize(
    ("file", "column"),
    [
        *(
            (INDEX, column)
            for column in ("ecg_id", "patient_id", "recording_date", "scp_codes", "strat_fold", "filename_lr")
        ),
        *(
            (CODES, column)
            for column in ("description", "diagnostic", "form", "rhythm", "diagnostic_class", "diagnostic_subclass")
        ),
    ],
)
def test_a_column_that_is_missing_from_ptbxl(ptbxl, file, column):
    edited(
        ptbxl / file,
        lambda table: table.drop(columns=column, inplace=True),
        **({"index_col": 0} if file == CODES else {}),
    )
    with pytest.raises(DataError, match=f"corpus ptbxl: .*{file} has no column {column}; download it again"):
        list(opened("ptbxl", ptbxl).entries())


def test_rows_of_the_statements_that_say_nothing(ptbxl, tmp_path):
    def spoil(table):
        table.loc["SR", "description"] = ""
        table.loc["NORM", "form"] = "x"

    before = [entry.id for entry in opened("ptbxl", ptbxl).entries()]
    edited(ptbxl / CODES, spoil, index_col=0)
    corpus = opened("ptbxl", ptbxl)
    entries = list(corpus.entries())
    assert [entry.id for entry in entries] == before and "SR" not in corpus.info()["statements"]
    assert [row.reason for row in corpus.rejected] == [f"{CODES}: a row (code SR) without a code or a description"]
    edited(ptbxl / CODES, lambda table: table.__setitem__("description", ""), index_col=0)
    assert {entry.statements for entry in opened("ptbxl", ptbxl).entries()} == {()}


@pytest.mark.parametrize("column", ["subject_id", "study_id", "path"])
def test_an_empty_cell_of_mimic(mimic, tmp_path, column):
    before = [f"mimic/{entry.id}" for entry in opened("mimic", mimic).entries()]
    lost = f"mimic/{pd.read_csv(mimic / 'record_list.csv')['study_id'][0]}"
    edited(mimic / "record_list.csv", lambda table: table.__setitem__(column, ["", *table[column][1:]]))
    stored, skipped = listed(opened("mimic", mimic), tmp_path)
    assert sorted(stored) == sorted(set(before) - {lost}) and list(skipped) == [
        "mimic/?" if column == "study_id" else lost
    ]
    assert f"record_list.csv: {column} is empty" in next(iter(skipped.values()))


def test_ragged_lines_of_mimic(mimic, tmp_path):
    before = list(opened("mimic", mimic).entries())
    for file in ("record_list.csv", "machine_measurements.csv"):
        lines = (mimic / file).read_text().split("\n")
        (mimic / file).write_text("\n".join([lines[0], "1,2", f"{lines[1]},too,many", *lines[2:]]))
    corpus = opened("mimic", mimic)
    after = {entry.id: entry for entry in corpus.entries()}
    lost = set(entry.id for entry in before) - set(after)  # noqa: C401
    assert len(lost) == 1 and sum(
        after[entry.id].statements == entry.statements for entry in before if entry.id in after
    ) == len(after)
    stored, skipped = listed(corpus, tmp_path)
    assert len(stored) == len(before) - 1 and list(skipped) == ["mimic/?"]
    rows = pd.read_csv(tmp_path / "store" / "skipped.csv")
    assert (
        sorted(rows["path"]) == ["machine_measurements.csv"] * 2 + ["record_list.csv"] * 2
        and rows["reason"].str.contains("a line of").all()
    )


def test_a_block_without_a_path_is_not_a_column_without_one(mimic, monkeypatch):
    from anyecg.data.corpora import base

    edited(mimic / "record_list.csv", lambda table: table.__setitem__("path", ["", *table["path"][1:]]))
    monkeypatch.setattr(base.pa_csv, "open_csv", small_blocks(base.pa_csv.open_csv))
    assert len(list(opened("mimic", mimic).entries())) == len(pd.read_csv(mimic / "record_list.csv")) - 1
    edited(mimic / "record_list.csv", lambda table: table.drop(columns="path", inplace=True))
    with pytest.raises(
        DataError, match="corpus mimic: .*record_list.csv has no column path, or nothing in it; download it again"
    ):
        list(opened("mimic", mimic).entries())


def small_blocks(open_csv):
    from pyarrow import csv

    return lambda path, **options: open_csv(path, read_options=csv.ReadOptions(block_size=1024), **options)


def test_nothing_but_bad_rows_says_why(ptbxl):
    edited(ptbxl / INDEX, lambda table: table.__setitem__("scp_codes", "?"))
    with pytest.raises(
        DataError, match=r"not one of \d+ rows in .* can be used: ptbxl_database.csv: scp_codes \? is no dictionary"
    ):
        opened("ptbxl", ptbxl).entries()


@pytest.mark.parametrize(
    ("name", "file"),
    [("ptbxl", INDEX), ("ptbxl", CODES), ("mimic", "record_list.csv"), ("mimic", "machine_measurements.csv")],
)
@pytest.mark.parametrize(
    "content", [b"", b"\x00\x01\xff" * 99, b"a,b\n1,2\n", None], ids=["empty", "no text", "another table", "a folder"]
)
def test_a_bad_file_is_told_once_by_name(sets, tmp_path, name, file, content):
    root = shutil.copytree(sets / name, tmp_path / name)
    (root / file).unlink()
    (root / file).mkdir() if content is None else (root / file).write_bytes(content)
    with pytest.raises(DataError, match=f"corpus {name}: .*{file} (cannot be read|has no column)"):
        list(opened(name, root).entries())


def test_bad_lines_of_the_condition_names_cost_only_themselves(tmp_path):
    (tmp_path / CONDITION_NAMES).write_bytes(
        b"Acronym Name,Full Name,Snomed_CT\nSR,Sinus Rhythm,426783006\nSB,Sinus,Brady,4\nAF,caf\xe9,164890007\n"
    )
    assert opened("csn", tmp_path).published() == {"426783006": "Sinus Rhythm", "164890007": "caf\ufffd"}


def test_bad_rows_are_part_of_the_fingerprint_and_met_once(ptbxl, tmp_path):
    corpus = opened("ptbxl", ptbxl)
    clean = Index(corpus, tmp_path / "index.arrow")
    assert clean.rejected == [] and Index(corpus, tmp_path / "index.arrow").fingerprint == clean.fingerprint
    with (ptbxl / INDEX).open("a") as file:
        file.write("a,b\n")
    corpus = opened("ptbxl", ptbxl)
    first, again = (Index(corpus, tmp_path / "index.arrow") for _ in range(2))
    assert (
        len(first.rejected) == 1
        and first.rejected == again.rejected
        and first.fingerprint == again.fingerprint != clean.fingerprint
    )


@real_data
@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.with_suffix(".dat").write_bytes(path.with_suffix(".dat").read_bytes()[:999]),
        lambda path: path.with_suffix(".dat").unlink(),
        lambda path: path.with_suffix(".hea").write_text(""),
    ],
    ids=["cut short", "no signal", "empty header"],
)
def test_a_truncated_record_of_the_real_ptbxl(tmp_path, spoil):
    root = tmp_path / "ptbxl"
    few = [entry.path for entry in opened("ptbxl", REAL / "ptbxl", limit=3).entries()]
    for name in (INDEX, CODES):
        root.mkdir(exist_ok=True)
        shutil.copy(REAL / "ptbxl" / name, root)
    for path in few:
        for suffix in (".hea", ".dat"):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REAL / "ptbxl" / f"{path}{suffix}", (root / path).parent)
    spoil(root / few[1])
    stored, skipped = listed(opened("ptbxl", root, limit=3), tmp_path)
    assert len(stored) == 2 and list(skipped) == ["ptbxl/2"] and few[1] in skipped["ptbxl/2"]


def annotated(root, name, change=lambda text: text):
    write_annotated(root, name)
    header = root / f"{name}.hea"
    header.write_text(change(header.read_text()))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda text: text.replace(" MLII", "").replace(" V1", ""),
            "none of its leads is known (one without a name, one without a name)",
        ),
        *(
            (lambda text, rate=rate: text.replace(" 2 360 ", f" 2 {rate} "), f"sampling rate is '{rate}'")
            for rate in ("-100", "1e300", "0", "nan", "abc", "9" * 30)
        ),
    ],
)
def test_a_header_that_cannot_be_meant(tmp_path, change, reason):
    annotated(tmp_path / "source", "100")
    annotated(tmp_path / "source", "101", change)
    stored, skipped = listed(opened("mit_bih_arrhythmia", tmp_path / "source"), tmp_path)
    assert stored == ["mit_bih_arrhythmia/100"] and list(skipped) == ["mit_bih_arrhythmia/101"]
    assert reason in skipped["mit_bih_arrhythmia/101"] or (
        "9" * 30 in reason and "none of an ECG" in skipped["mit_bih_arrhythmia/101"]
    )


@pytest.mark.parametrize("rate", ["360", "360.0", "360/360", "360.0/360(0)"])
def test_rates_as_wfdb_writes_them(tmp_path, rate):
    annotated(tmp_path, "100", lambda text: "# a remark\n\n" + text.replace(" 2 360 ", f" 2 {rate} "))
    corpus = opened("mit_bih_arrhythmia", tmp_path)
    assert corpus.read(next(corpus.entries())).fs == 360


def test_one_lead_without_a_name_is_unknown(tmp_path):
    annotated(tmp_path / "source", "100", lambda text: text.replace(" V1", ""))
    store = build_store(opened("mit_bih_arrhythmia", tmp_path / "source"), tmp_path / "store", progress=False)
    assert store.summary["unknown_leads"] == {"": 1} and store.records["lead_mask"].tolist() == [0b10]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (DataError("no ECG"), None),
        (ZeroDivisionError("by zero"), RuntimeError),
        (MemoryError(), MemoryError),
        (OSError(28, "full"), DataError),
    ],
)
def test_only_an_error_of_the_data_costs_its_recording_only(tmp_path, monkeypatch, error, raised):
    for name in ("100", "101"):
        write_annotated(tmp_path / "source", name)
    corpus, known = opened("mit_bih_arrhythmia", tmp_path / "source"), shards.canonical

    def canonical(record, fs):
        if record.id.endswith("101"):
            raise error
        return known(record, fs)

    monkeypatch.setattr(shards, "canonical", canonical)
    if raised:
        with pytest.raises(raised):
            listed(corpus, tmp_path)
    else:
        assert listed(corpus, tmp_path) == (["mit_bih_arrhythmia/100"], {"mit_bih_arrhythmia/101": "no ECG"})
