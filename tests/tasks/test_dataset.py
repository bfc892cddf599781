"""A dataset's folder: found again, refused where it is another's, told and mended where it was edited, and its card."""

import json
import re
import shutil

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from anyecg.config.schema import Slot
from anyecg.data.dataset.built import facts, open_dataset, write_dataset
from anyecg.data.dataset.card import table
from anyecg.tasks.dataset import build_dataset
from anyecg.types import ConfigError, DataError
from tests.building import tasks
from tests.data.native import beat_train, write_annotated

MIMIC = Slot.of("corpus", "mimic", patients=10, seed=1)
RHYTHM = Slot.of("corpus", "mit_bih_arrhythmia", patients=5, seed=1, seconds=40.0)
SOURCES = {"mimic": MIMIC, "mit_bih_arrhythmia": RHYTHM}
QUESTIONS = tasks(localization={"windows_per_record": 2}, ecg_qa={"folders": {"mimic": "simulated"}})


def build(folder, sources=SOURCES, questions=QUESTIONS, **settings):
    return build_dataset(sources, questions, folder, progress=False, **settings)


def tree(folder):
    """Every file but what says when and how long: its bytes."""
    paths = (
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (".lock", "build.log", "measured.json")
    )
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "built"
    build(folder)
    return folder


@pytest.fixture
def dataset(built, tmp_path):
    """A copy to damage."""
    return shutil.copytree(built, tmp_path / "set")


def test_what_is_built_is_opened_and_found_again(built):
    before = {path: path.stat().st_mtime_ns for path in built.glob("[!.]*.*")}
    data, again = open_dataset(built), build(built)
    assert (
        data.fingerprint == again.fingerprint
        and list(data.questions) == list(again.questions)
        and len(data.questions) > 100
    )
    assert {path: path.stat().st_mtime_ns for path in built.glob("[!.]*.*")} == before
    manifest = pq.read_table(built / "questions.parquet")
    assert manifest["id"].to_pylist() == data.questions.column("id").tolist()
    assert json.loads(manifest.schema.metadata[b"info"]) == data.questions.info


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"seed": 1}, "another tasks_seed"),
        ({"questions": tasks(localization={"windows_per_record": 3})}, "another tasks.localization.windows_per_record"),
        ({"questions": tasks(localization={"windows_per_record": 2})}, "another content of its tasks' files"),
        (
            {"sources": {"mimic": MIMIC}, "questions": tasks(localization={"windows_per_record": 2})},
            "other corpora .mimic, mit_bih_arrhythmia, not mimic.",
        ),
        ({"sources": {**SOURCES, "ptbxl": Slot.of("corpus", "ptbxl", patients=3)}}, "other corpora"),
        (
            {"sources": {**SOURCES, "mimic": Slot.of("corpus", "mimic", patients=11, seed=1)}},
            "another corpus mimic .simulated with .'patients': 10",
        ),
    ],
)
def test_another_dataset_is_refused_and_nothing_is_touched(dataset, settings, words):
    before = tree(dataset)
    with pytest.raises(DataError, match=f"{dataset}.*{words}.*choose another folder"):
        build(dataset, **settings)
    left = {name: content for name, content in tree(dataset).items() if not name.startswith("ecg_qa/")}
    assert left == {name: content for name, content in before.items() if name in left} and before.keys() >= left.keys()
    assert build(dataset).fingerprint == open_dataset(dataset).fingerprint


def test_questions_are_made_anew_where_its_facts_were_deleted(dataset):
    """What the message says of other settings: the stores stay."""
    before = (dataset / "stores" / "mimic" / "store.json").stat().st_mtime_ns
    (dataset / "dataset.json").unlink()
    with pytest.raises(DataError, match="no finished dataset .*anyecg.data build --to"):
        open_dataset(dataset)
    assert build(dataset, seed=1).questions.info["seed"] == 1
    assert (dataset / "stores" / "mimic" / "store.json").stat().st_mtime_ns == before


def edit_manifest(path):
    """One answer in place of another, in a file that is sound by itself."""
    whole = pq.read_table(path)
    column = whole.schema.get_field_index("id")
    ids = pc.replace_substring(whole["id"], "report/", "reports/")
    pq.write_table(whole.set_column(column, whole.schema.field(column), pa.chunked_array(ids)), path)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("questions.parquet", edit_manifest),
        ("questions.parquet", lambda path: path.unlink()),
        ("questions.arrow", flip),
        ("questions.arrow", lambda path: path.write_bytes(path.read_bytes()[:1000])),
        ("questions.arrow", lambda path: path.write_bytes(b"")),
        ("questions.json", lambda path: path.write_text(path.read_text().replace('"count": ', '"count": 1'))),
    ],
)
def test_an_edited_manifest_is_told_and_restored(dataset, caplog, name, damage):
    before = tree(dataset)
    damage(dataset / name)
    with pytest.raises(
        DataError,
        match=f"{dataset / name} is missing or not what was written .*give the command .*export, edit the JSON and import",
    ):
        open_dataset(dataset)
    build(dataset)
    assert f"{name} is missing or not what was written" in caplog.text and "made again" in caplog.text
    assert tree(dataset) == before


def test_an_edited_card_is_restored(dataset):
    before = tree(dataset)
    (dataset / "README.md").write_text("# Mine")
    assert len(open_dataset(dataset).questions)  # it is for people; nothing reads it
    build(dataset)
    assert tree(dataset) == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace('"count": 1', '"count": 2', 1),
        lambda text: text[:500],
        lambda text: "[]",
        lambda text: "{}",
        lambda text: json.dumps({**json.loads(text), "seed": 3}),
        lambda text: "",
    ],
)
def test_edited_facts_are_told(dataset, damage):
    before = tree(dataset)
    path = dataset / "dataset.json"
    path.write_text(damage(path.read_text()))
    for attempt in (open_dataset, facts, build):
        with pytest.raises(
            DataError, match=f"{path} is missing or not what was written .*delete it and give the command"
        ):
            attempt(dataset)
    path.unlink()
    build(dataset)
    assert tree(dataset) == before


@pytest.mark.parametrize("name", ["records.parquet", "store.json", "skipped.csv", "origin.json"])
@pytest.mark.parametrize("damage", [flip, lambda path: path.unlink()])
def test_an_edited_store_is_told_and_read_again_once_it_is_deleted(dataset, name, damage):
    before = tree(dataset)
    store = dataset / "stores" / "mimic"
    damage(store / name)
    for attempt in (open_dataset, build):
        with pytest.raises(
            DataError, match=f"{store / name} is missing or not what was written .*delete {store} and give the command"
        ):
            attempt(dataset)
    shutil.rmtree(store)
    build(dataset)
    assert tree(dataset) == before


def test_what_killed_builds_left_is_cleared(dataset):
    before = tree(dataset)
    for left in ("corpora/.mimic-1.part-77/files", "ecg_qa/.mimic-1.part-77/template"):
        (dataset / left).mkdir(parents=True)
        (dataset / left / "half").write_text("half")
    build(dataset)
    assert tree(dataset) == before


def test_a_folder_that_can_be_none(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DataError, match=f"{folder} cannot be made a dataset's folder"):
            build(folder)
        with pytest.raises(DataError, match=f"{folder} is no finished dataset"):
            open_dataset(folder)
    with pytest.raises(ConfigError, match="corpora: there is none"):
        build(tmp_path / "new", sources={})


def test_questions_made_elsewhere(dataset, tmp_path):
    """Stores are linked and may move along with the link's target; who edits them is told to import again."""
    data = open_dataset(dataset)
    pairs = list(zip(data.questions.column("split"), data.questions))[:50]
    made = write_dataset(tmp_path / "other", data.stores, iter(pairs), {"imported": ["x.json"]}, {"a | b": 3})
    again = open_dataset(tmp_path / "other")
    assert list(again.questions) == [sample for _, sample in pairs] and again.fingerprint == made.fingerprint
    known = facts(tmp_path / "other")
    assert (
        known["dropped"] == [{"pool": "imported", "why": "a | b", "count": 3}]
        and known["sources"] == facts(dataset)["sources"]
    )
    assert r"| imported | a \| b | 3 |" in (tmp_path / "other" / "README.md").read_text()
    other = write_dataset(tmp_path / "third", data.stores, iter(pairs[:49]), {"imported": ["x.json"]})
    assert other.fingerprint != made.fingerprint
    for folder in (tmp_path / "other", dataset):
        with pytest.raises(DataError, match="holds a dataset already"):
            write_dataset(folder, data.stores, iter(pairs), {})
    with pytest.raises(DataError, match="was not built from corpora; choose another folder"):
        build(tmp_path / "other")
    edit_manifest(tmp_path / "other" / "questions.parquet")
    with pytest.raises(DataError, match=f"questions.parquet .*delete {tmp_path / 'other'} and import it again"):
        open_dataset(tmp_path / "other")


def test_nothing_is_written_over_the_beginnings_of_a_dataset(dataset, tmp_path):
    data = open_dataset(dataset)
    pairs = [("train", data.questions[0])]
    half = shutil.copytree(dataset, tmp_path / "half")
    (half / "dataset.json").unlink()
    with pytest.raises(DataError, match="holds the beginnings of a dataset"):
        write_dataset(half, data.stores, pairs, {})
    with pytest.raises(DataError, match="no question is left"):
        write_dataset(tmp_path / "new", data.stores, [], {})
    write_dataset(tmp_path / "new", data.stores, pairs, {})  # what was left of the attempt is no dataset
    assert len(open_dataset(tmp_path / "new").questions) == 1


def test_a_dataset_may_move(dataset, tmp_path):
    before = tree(dataset)
    dataset.rename(tmp_path / "moved")
    data = open_dataset(tmp_path / "moved")
    assert data.stores.read(data.questions[0].records[0])[0].any()
    build(tmp_path / "moved")
    assert tree(tmp_path / "moved") == before


def test_the_card_says_where_everything_comes_from(built, tmp_path):
    card, known = (built / "README.md").read_text(), facts(built)
    assert "**mimic**: simulated by anyecg (patients 10, seed 1) in the layout of MIMIC-IV-ECG" in card
    assert "**mit_bih_arrhythmia**: simulated by anyecg (patients 5, seed 1, seconds 40.0)" in card
    assert "**ecg_qa of mimic**: simulated by anyecg in the layout of ECG-QA" in card and "cite:" not in card
    assert known["sources"]["mimic"]["origin"]["simulated"] == {"patients": 10, "seed": 1, "seconds": None}
    assert (
        known["origins"]["ecg_qa of mimic"]["simulated"] == {}
        and known["origins"]["ecg_qa of mimic"]["licence"] == "CC BY 4.0"
    )
    for source in known["sources"].values():
        assert source["origin"]["title"] and source["origin"]["version"] and source["origin"]["cite"]
    root = write_annotated(
        tmp_path / "real", "100", beat_train(40.0), beats=[(k + 0.5, "V" if k == 7 else "N") for k in range(40)]
    )
    build(
        tmp_path / "set",
        {"mit_bih_arrhythmia": Slot.of("corpus", "mit_bih_arrhythmia", root=str(root))},
        tasks(localization={"windows_per_record": 1}),
    )
    card = (tmp_path / "set" / "README.md").read_text()
    assert (
        "**mit_bih_arrhythmia**: MIT-BIH Arrhythmia Database 1.0.0; licence ODC-By 1.0 (credit the source" in card
        and "simulated" not in card
    )
    assert "cite: Moody, Mark. The impact of the MIT-BIH Arrhythmia Database." in card and "doi:10.13026/C2F305" in card
    assert facts(tmp_path / "set")["sources"]["mit_bih_arrhythmia"]["origin"]["simulated"] is None


def test_the_card_counts_what_dataset_json_counts(built):
    card, known, data = (built / "README.md").read_text(), facts(built), open_dataset(built)
    assert f"{len(data.questions):,} questions over {sum(map(len, data.stores))} recordings; seed 0;" in card
    for name in ("questions.arrow", "stores/mimic/store.json"):
        assert f"| {name} | `{known['checksums'][name]}` |" in card
    for pool, subset in (("report", "mimic"), ("localization_short", "mit_bih_arrhythmia")):
        found = [
            str(len(data.questions.select(pool=pool, subset=subset, split=split))) for split in ("train", "val", "test")
        ]
        assert f"| {pool} | {subset} | {' | '.join(number if number != '0' else '–' for number in found)} |" in card
    assert (
        "- tasks.localization.windows_per_record: `2`" in card and "- **localization**: a labelled beat spans" in card
    )
    for row in known["dropped"]:
        assert f"| {row['pool']} | {row['why']} | {row['count']:,} |" in card


def test_neither_dates_nor_places_are_written_down(built):
    texts = [
        (built / name).read_text()
        for name in (
            "README.md",
            "dataset.json",
            "questions.json",
            "stores/mimic/origin.json",
            "stores/mimic/store.json",
        )
    ]
    texts.append(json.dumps(open_dataset(built).questions.info))
    for text in texts:
        assert str(built) not in text and "/tmp" not in text and not re.search(r"\d{4}-\d\d-\d\d|\d\d:\d\d", text)


def test_a_table_of_markdown():
    assert table(["a", "b"], [["1", "x|y"]]) == ["| a | b |", "|---|---|", r"| 1 | x\|y |"]
