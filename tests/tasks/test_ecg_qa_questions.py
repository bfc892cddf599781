"""ECG-QA: read as released, a share of every stratum, no patient in two splits, and simulated questions that are
true.
"""

import json
import logging
import random
import shutil
from collections import Counter

import pandas as pd
import pytest

from anyecg.config.schema import Slot
from anyecg.data.corpora import corpora
from anyecg.findings import BY_KEY, find
from anyecg.simulate.ecgqa import write_ecgqa
from anyecg.tasks.build import build_data
from anyecg.tasks.ecg_qa.build import BRIEFLY, ECGS
from anyecg.tasks.ecg_qa.task import ECGQA
from anyecg.types import MARKER, ConfigError, DataError
from tests.building import build, only
from tests.data.native import REAL, real_data

CORPORA = {
    "ptbxl": Slot.of("corpus", "ptbxl", patients=60, seed=2),
    "mimic": Slot.of("corpus", "mimic", patients=24, seed=2),
}
SIMULATED = only(ecg_qa={"folders": {"ptbxl": "simulated", "mimic": "simulated"}, "share": 1.0})


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def data(cache):
    return build_data(CORPORA, SIMULATED, cache, seed=0, progress=False)


@pytest.fixture
def release(cache, data, tmp_path):
    """A copy of the simulated PTB-XL release, for a test to spoil."""
    return shutil.copytree(next((cache / "ecg_qa").glob("ptbxl-*")), tmp_path / "ecgqa" / "ptbxl")


def asked(data, folder, path, share=1.0, seed=0, **settings):
    """The questions about a release in `folder`, and why others are not asked."""
    made = build(data.stores, only(ecg_qa={"folders": {"ptbxl": str(folder)}, "share": share, **settings}), path, seed)
    return made, {row["why"]: row["count"] for row in json.loads(path.with_suffix(".json").read_text())["dropped"]}


def row(ecgs, number=0, **changes):
    return {"template_id": 1, "question_id": 0, "sample_id": number, "question_type": "single-verify", "attribute_type": "scp_code",
            "question": "Is there sinus rhythm?", "answer": ["yes"], "ecg_id": ecgs, "attribute": ["sinus rhythm"], **changes}  # fmt: skip


def rewrite(folder, rows, split="train", name="0.json"):
    """One file of the release says these rows, whatever it said before."""
    (folder / "paraphrased" / split / name).write_text(json.dumps(rows))


def ecg_ids(data, split):
    records = data.stores["ptbxl"].records
    return [int(record.split("/")[1]) for record in records.index[records["split"] == split]]


def test_every_question_is_sound(data):
    records, splits, ids = data.stores.records, data.questions.column("split"), set()
    for split, sample in zip(splits, data.questions):
        assert sample.id not in ids and sample.task == sample.pool == "ecg_qa"
        ids.add(sample.id)
        its = records.loc[[window.record for window in sample.records]]
        assert (
            set(its["split"]) == {split}
            and sample.patient == its["patient"].iloc[0]
            and len(its) == ECGS[sample.subset]
        )
        assert [window.end for window in sample.records] == its["seconds"].tolist()
        assert sample.evidence == tuple(", ".join(statements) for statements in its["statements"])
        if "consecutive" in sample.subset:
            assert its["patient"].nunique() == 1 and its["time"].is_monotonic_increasing
        if "irrelevant" in sample.subset:
            assert its["patient"].nunique() == 2
        text, answers = sample.conversation[0].text, sample.meta["answers"]
        lead = f"{MARKER}\n" if len(its) == 1 else f"First ECG: {MARKER}\nSecond ECG: {MARKER}\n"
        assert (
            text.startswith(lead)
            and text.endswith(f"? {BRIEFLY}")
            and "{" not in text
            and sample.answer == ", ".join(answers)
        )
        assert ("options" in sample.meta) == (not sample.subset.endswith("query")) and set(answers) <= set(
            sample.meta.get("options", answers)
        )
    for corpus in CORPORA:
        kinds = {
            (split, sample.subset)
            for split, sample in zip(splits, data.questions)
            if sample.records[0].record.startswith(corpus)
        }
        assert {kind for split, kind in kinds if split == "train"} == set(ECGS) and {split for split, _ in kinds} == {
            "train",
            "val",
            "test",
        }


def test_simulated_answers_are_true_of_the_index(data, cache):
    scp = pd.read_csv(next((cache / "corpora").glob("ptbxl-*")) / "scp_statements.csv", index_col=0)[
        "description"
    ].str.lower()
    records, truths = data.stores.records, Counter()

    def shown(record):
        if record.startswith("ptbxl"):
            return {scp[code] for code in records.loc[record, "labels"] if code != "NORM"}
        return {
            BY_KEY[key].name.lower()
            for key in find(", ".join(records.loc[record, "statements"]))
            if BY_KEY[key].kind != "summary"
        }

    universe = {
        corpus: set().union(*map(shown, store.records.index))
        for corpus, store in ((s.summary["corpus"], s) for s in data.stores)
    }
    for sample in data.questions:
        words, ecgs = sample.conversation[0].text, [shown(window.record) for window in sample.records]
        names = universe[sample.records[0].record.split("/")[0]]
        named = {
            name
            for name in names
            if name in words and not any(name in other and other in words for other in names - {name})
        }
        template = sample.meta["template_id"] - 14 * sample.subset.startswith("comparison_irrelevant")
        if len(ecgs) == 2:
            before, after = ecgs
            holding = [before - after, after - before, before & after, names - before - after][(template - 43) % 4]
        else:
            holding = ecgs[0]
        if sample.subset.endswith("verify"):
            assert len(named) == 1 and sample.meta["answers"] == ["yes" if named <= holding else "no"]
            truths[sample.subset, sample.answer] += 1
        elif sample.subset.endswith("choose"):
            assert len(named) == 2 and set(sample.meta["answers"]) == (named & holding or {"none"})
        else:
            assert set(sample.meta["answers"]) == (holding or {"none"})
    assert all(
        abs(truths[kind, "yes"] - truths[kind, "no"]) < 0.5 * (truths[kind, "yes"] + truths[kind, "no"])
        for kind, _ in truths
    )


def test_answers_parse_by_their_own_task(data):
    task = ECGQA(None, data.questions.info)
    assert set(data.questions.info["ecg_qa_answers"]) == {"ptbxl", "mimic"}
    for sample in data.questions:
        assert task.parse(sample.answer, sample) == task.reference(sample)


def test_a_share_of_every_stratum(data, release, tmp_path):
    whole, _ = asked(data, release, tmp_path / "whole.arrow")
    some, dropped = asked(data, release, tmp_path / "some.arrow", share=0.25)
    strata = [
        Counter((split, sample.subset, sample.meta["template_id"]) for split, sample in zip(made.column("split"), made))
        for made in (whole, some)
    ]
    assert set(strata[0]) == set(strata[1])
    assert all(strata[1][stratum] == max(1, round(0.25 * count)) for stratum, count in strata[0].items())
    assert dropped == {"not in the share taken": len(whole) - len(some)}
    other, _ = asked(data, release, tmp_path / "other.arrow", share=0.25, seed=1)
    assert len(other) == len(some) and set(other.column("id")) != set(some.column("id"))


def test_what_is_taken_does_not_depend_on_the_files(data, release, tmp_path):
    some, _ = asked(data, release, tmp_path / "some.arrow", share=0.25)
    for folder in (release / "paraphrased").iterdir():
        rows = json.loads((folder / "0.json").read_text())
        random.Random(0).shuffle(rows)
        for name, part in (("7.json", rows[: len(rows) // 3]), ("0.json", rows[len(rows) // 3 :])):
            (folder / name).write_text(json.dumps(part))
    again, _ = asked(data, release, tmp_path / "again.arrow", share=0.25)
    assert {sample.id: sample for sample in again} == {sample.id: sample for sample in some}


def test_both_forms_ask_the_same_in_other_words(data, release, tmp_path):
    paraphrased, template = (
        asked(data, release, tmp_path / f"{form}.arrow", share=0.5, form=form)[0]
        for form in ("paraphrased", "template")
    )
    assert [(one.answer, one.records) for one in paraphrased] == [(one.answer, one.records) for one in template]
    words = [
        {one.conversation[0].text for one in made if one.subset == "single-query"} for made in (paraphrased, template)
    ]
    assert len(words[0]) > len(words[1]) == 1 and not set(paraphrased.column("id")) & set(template.column("id"))


def test_the_split_is_that_of_the_patients(data, release, tmp_path):
    train, test = ecg_ids(data, "train"), ecg_ids(data, "test")
    pair = {"question_type": "comparison_irrelevant-verify", "template_id": 58}
    for split in ("train", "valid"):
        rewrite(release, [], split)
    rewrite(
        release,
        [row(train[:1], 1), row(test[:1], 2), row([train[0], test[0]], 3, **pair), row(train[:2], 4, **pair)],
        "test",
    )
    made, dropped = asked(data, release, tmp_path / "q.arrow")
    assert {id.split("/")[-1]: split for id, split in zip(made.column("id"), made.column("split"))} == {
        "1": "train",
        "2": "test",
        "4": "train",
    }
    assert dropped == {"ECGs of patients in two splits": 1}


def test_unsound_rows_are_dropped_and_counted(data, release, tmp_path):
    first, second, third = ecg_ids(data, "train")[:3]
    sound = row([first], 1)
    rewrite(release, [
        sound, row([second], 1), row(["7000001"], 2), row([43402541], 3), row([], 4), row([first, second, third], 5), row([first, second], 6),
        row([first], 7, answer=[]), row([first], 8, question=" "), row([first], 9, question_type="single"), row([first], 10, question=f"{MARKER}?"),
        {key: value for key, value in row([first], 11).items() if key != "ecg_id"},
        {key: value for key, value in sound.items() if key != "sample_id"}, "row",
        row([f"{third}"], 12, ecg_path=["files/p1/x"]),
    ])  # fmt: skip
    for split in ("valid", "test"):
        rewrite(release, [], split)
    made, dropped = asked(data, release, tmp_path / "q.arrow")
    assert [(sample.id.split("/")[-1], sample.records[0].record) for sample in made] == [
        ("1", f"ptbxl/{first}"),
        ("12", f"ptbxl/{third}"),
    ]
    assert dropped == {
        "sample_id that another question of the split has": 1, "ECG that is not in the store": 2, "row without ECG ids": 2,
        "more or fewer ECGs than the question type has": 2, "row without an answer": 1, "row without a question": 2,
        "question type that ECG-QA does not have": 1, "row without a sample_id and a template_id": 2,
    }  # fmt: skip


def test_a_file_cut_short_is_skipped_with_its_name(data, release, tmp_path, caplog):
    whole, _ = asked(data, release, tmp_path / "whole.arrow")
    path = release / "paraphrased" / "train" / "0.json"
    rows = json.loads(path.read_text())
    rewrite(release, rows[:40])
    rewrite(release, rows[40:], name="40.json")
    path.write_text(path.read_text()[:-200])
    rewrite(release, {"version": 1}, "valid", "9.json")
    with caplog.at_level(logging.WARNING):
        made, dropped = asked(data, release, tmp_path / "q.arrow")
    assert len(made) == len(whole) - 40 and dropped == {"file that is broken or cut short": 2}
    assert [record.getMessage().split(" is skipped")[0] for record in caplog.records] == [
        str(path),
        str(release / "paraphrased" / "valid" / "9.json"),
    ]


def test_the_questions_of_another_corpus(cache, data, tmp_path, caplog):
    with caplog.at_level(logging.WARNING), pytest.raises(DataError, match="no question can be asked"):
        asked(data, next((cache / "ecg_qa").glob("mimic-*")), tmp_path / "q.arrow")
    assert "tasks.ecg_qa.folders.ptbxl" in caplog.text and "is it ECG-QA of this corpus?" in caplog.text


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: shutil.rmtree(folder / "paraphrased"), r"tasks\.ecg_qa\.folders\.ptbxl: no file .*paraphrased"),
        (lambda folder: (folder / "answers.csv").unlink(), "answers.csv is missing"),
        (lambda folder: (folder / "answers.csv").write_text("0,no\n"), "no table with a column 'class'"),
        (
            lambda folder: (folder / "answers_for_each_template.csv").write_text("template_id,classes\n1,['no\n"),
            "answers_for_each_template.csv is damaged",
        ),
    ],
)
def test_a_damaged_folder_is_named(data, release, tmp_path, spoil, message):
    spoil(release)
    with pytest.raises(DataError, match=message):
        asked(data, release, tmp_path / "q.arrow")
    assert not list(tmp_path.glob("*.arrow"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"share": 0.0}, "share: above 0"),
        ({"share": 1.5}, "share: above 0 and at most 1"),
        ({"folders": {"ptbxl": "nowhere"}}, r"tasks.ecg_qa.folders.ptbxl: there is no folder nowhere"),
        ({"form": "words"}, "form: 'words' is unknown"),
        ({"folders": {"mit_bih_st": "simulated"}}, r"tasks.ecg_qa.folders.mit_bih_st: .*ptbxl, mimic"),
    ],
)
def test_bad_settings(cache, data, settings, message):
    with pytest.raises(ConfigError, match=message):
        build_data(CORPORA, only(ecg_qa=settings), cache, seed=0, progress=False)


def test_found_again_by_content(data, cache, release, tmp_path):
    """The same files elsewhere are the same data; another answer in one of them is not."""
    moved = only(ecg_qa={"folders": {"ptbxl": str(release), "mimic": "simulated"}, "share": 1.0})
    for cfg in (SIMULATED, moved):
        assert build_data(CORPORA, cfg, cache, 0, progress=False).fingerprint == data.fingerprint
    other = tmp_path / "cache"
    again = build_data(CORPORA, SIMULATED, other, 0, progress=False)
    assert again.questions.path.read_bytes() == data.questions.path.read_bytes()
    path = release / "paraphrased" / "train" / "0.json"
    path.write_text(path.read_text().replace('"yes"', '"no"', 1))
    assert build_data(CORPORA, moved, cache, 0, progress=False).fingerprint != data.fingerprint


def test_nothing_is_asked_where_no_folder_is_named(data, tmp_path):
    with pytest.raises(DataError, match="no question can be asked"):
        build(data.stores, only(ecg_qa={}), tmp_path / "q.arrow")


def test_the_simulated_folder_is_never_written_over(cache, data, tmp_path):
    root = next((cache / "corpora").glob("ptbxl-*"))
    corpus = corpora["ptbxl"](corpora["ptbxl"].Config(), root)
    for name in ("one", "two"):
        write_ecgqa(corpus, tmp_path / name, seed=3, progress=False)
    files = [
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in ("one", "two")
    ]
    assert files[0] == files[1] and len(files[0]) == 8
    with pytest.raises(DataError, match="is there already"):
        write_ecgqa(corpus, tmp_path / "one", seed=4, progress=False)


@real_data
def test_real_ecg_qa(cache, tmp_path, caplog):
    cfg = only(ecg_qa={"folders": {"ptbxl": str(REAL / "ecgqa" / "ptbxl")}, "share": 1.0})
    data = build_data(
        {"ptbxl": Slot.of("corpus", "ptbxl", root=str(REAL / "ptbxl"))}, cfg, cache, seed=0, progress=False
    )
    assert Counter(zip(data.questions.column("split"), data.questions.column("subset"))) == {
        ("train", "single-verify"): 211,
        ("train", "comparison_irrelevant-query"): 96,
        ("val", "single-verify"): 28,
        ("val", "comparison_irrelevant-query"): 2,
        ("test", "single-verify"): 86,
    }
    dropped = json.loads(data.questions.path.with_suffix(".json").read_text())["dropped"]
    assert dropped == [{"pool": "ecg_qa", "why": "ECGs of patients in two splits", "count": 57}]
    task = ECGQA(None, data.questions.info)
    assert len(set(data.questions.column("id"))) == len(data.questions) == 423
    assert all(task.parse(sample.answer, sample) == task.reference(sample) for sample in data.questions)


@real_data
def test_the_wording_is_that_of_the_released_anyecg_file():
    released = json.loads((REAL / "upstream_json" / "ecgqa_train.json").read_text())
    assert all(
        row["question"].endswith(f"? {BRIEFLY}") and len(row["ecg_path"]) == ECGS[row["question_type"]]
        for row in released
    )
    assert any(", " in row["answer"] for row in released) and not any(";" in row["answer"] for row in released)
