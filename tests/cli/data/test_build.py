"""`python -m anyecg.data build`: the same bytes whatever happens on the way, real and simulated corpora, and what is
told.
"""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from anyecg import config, run
from anyecg.cli.data.build import loaded
from anyecg.data.__main__ import main
from anyecg.data.dataset.built import facts, open_dataset
from anyecg.simulate import simulate
from anyecg.types import ConfigError, DataError
from tests.conftest import SMALL
from tests.data.native import REAL, beat_train, real_data, write_annotated

FEW = (  # two shards of beats, one of reports
    "corpora.mimic.patients=12",
    "corpora.mit_bih_arrhythmia.patients=6",
    "corpora.mit_bih_arrhythmia.seconds=40",
    "corpora.ptbxl=null",
    "corpora.mit_bih_st=null",
    "corpora.european_st_t=null",
    "tasks.localization.windows_per_record=2",
    "tasks.ecg_qa.folders.mimic=simulated",
)


def build(folder, *arguments, workers=1):
    return main(["build", *arguments, "--to", str(folder), "--workers", str(workers)])


def tree(folder):
    """Every file but what says when and how long: its bytes."""
    paths = (
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (".lock", "build.log", "measured.json")
    )
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def started(folder, *arguments):
    """The command as a process of its own."""
    config.load("experiments/anyecg_chat.yaml")  # what is imported now, each process has from its start
    process = multiprocessing.get_context("fork").Process(target=lambda: os._exit(build(folder, *arguments)))
    process.start()
    return process


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    folder = tmp_path_factory.mktemp("few") / "set"
    assert build(folder, *FEW) == 0
    return folder


def test_the_same_command_gives_the_same_bytes_whatever_the_workers(few, tmp_path, capsys):
    assert build(tmp_path / "set", *FEW, workers=2) == 0
    assert tree(tmp_path / "set") == tree(few)
    printed = capsys.readouterr().out
    data = open_dataset(few)
    assert (
        f"{len(data.questions):,} questions in {tmp_path / 'set'}" in printed
        and "mit_bih_arrhythmia_long" in printed
        and "not in the share taken" in printed
    )
    before = (few / "questions.arrow").stat().st_mtime_ns
    assert build(few, *FEW) == 0 and (few / "questions.arrow").stat().st_mtime_ns == before


def test_killed_at_any_moment_it_goes_on(few, tmp_path):
    """Killed as soon as each of these is there, a build ends as one that was left alone."""
    moments = ["corpora/.*.part-*", "stores/mimic/.index.arrow.part", "stores/mimic/shard-00000.part", "stores/mimic/store.json", "corpora/mit_*",
               "stores/mit_*/shard-00000.json", "stores/mit_*/records.parquet", "ecg_qa/.*.part-*", "questions.part", "questions.arrow", ".*.parquet.part",
               "README.md"]  # fmt: skip
    folder, kills = tmp_path / "set", []
    for moment in moments:
        process = started(folder, *FEW)
        while process.exitcode is None and not any(folder.glob(moment)):
            process.join(0.001)
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            kills.append(moment)
        if not (folder / "dataset.json").exists():
            with pytest.raises(DataError, match="no finished dataset"):
                open_dataset(folder)
    assert len(kills) >= 8, kills
    assert build(folder, *FEW) == 0
    assert tree(folder) == tree(few)
    assert not (folder / "measured.json").exists()  # a part of the time is not told as the whole


@pytest.mark.slow
def test_killed_with_its_workers_it_goes_on(few, tmp_path):
    folder = tmp_path / "set"
    command = [sys.executable, "-m", "anyecg.data", "build", *FEW, "--to", str(folder), "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None and not any(folder.glob("stores/mit_*/shard-0000*")):
        time.sleep(0.001)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0
    assert tree(folder) == tree(few)


def test_two_builds_at_once_both_end_well(few, tmp_path):
    processes = [started(tmp_path / "set", *FEW) for _ in range(2)]
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    assert tree(tmp_path / "set") == tree(few)
    assert "is being built by process" in (tmp_path / "set" / "build.log").read_text()
    assert json.loads((tmp_path / "set" / "measured.json").read_text())["records"] == sum(
        map(len, open_dataset(few).stores)
    )


def test_a_dataset_says_its_rate_and_another_is_refused_by_key_and_command(few, tmp_path, capsys):
    assert "Signals at 100 Hz" in (few / "README.md").read_text()
    assert (
        build(few, *FEW, "encoder.fs=250") == 2 and "holds a dataset at 100 Hz, not 250 Hz" in capsys.readouterr().err
    )
    assert build(tmp_path / "fast", *FEW, "encoder.fs=250") == 0
    assert (
        "Signals at 250 Hz" in (tmp_path / "fast" / "README.md").read_text()
        and open_dataset(tmp_path / "fast", 250).stores.fs == 250
    )
    with pytest.raises(
        ConfigError,
        match=r"encoder: takes 100 Hz, dataset .*fast has 250 Hz; .*encoder\.fs.*python -m anyecg.data build .*encoder\.fs=100",
    ):
        open_dataset(tmp_path / "fast", 100)


def test_a_changed_command_is_refused(few, capsys):
    before = tree(few)
    for change, words in (
        ("tasks_seed=3", "another tasks_seed"),
        ("corpora.mimic.patients=13", "another corpus mimic"),
        ("corpora.cpsc2018.patients=3", "other corpora"),
    ):
        assert build(few, *FEW, change) == 2
        told = capsys.readouterr().err
        assert words in told and "choose another folder" in told
    assert tree(few) == before


def test_what_a_build_took_is_measured(few, tmp_path):
    took = json.loads((few / "measured.json").read_text())
    stored = sum(path.stat().st_size for path in (few / "stores").rglob("*") if path.is_file() and path.name != ".lock")
    assert took["bytes"] == stored + sum(path.stat().st_size for path in few.glob("questions.*"))
    assert took["records"] == sum(source["records"] for source in facts(few)["sources"].values())
    assert took["seconds"] > 0 and took["workers"] == 1 and took["peak_bytes"] > 2**26
    root = tmp_path / "source"
    for k in range(24):
        write_annotated(
            root,
            f"{k + 100}",
            beat_train(300.0, seed=k),
            beats=[(n + 0.5, "V" if n % 9 == 5 else "N") for n in range(300)],
        )
    assert (
        build(
            tmp_path / "set",
            "--root",
            f"mit_bih_arrhythmia={root}",
            "tasks.localization.windows_per_record=1",
            workers=2,
        )
        == 0
    )
    took = json.loads((tmp_path / "set" / "measured.json").read_text())
    assert took["workers"] == 2 and 2**24 < took["peak_bytes_worker"] < 2**36  # a forked worker counts its parent's
    shutil.rmtree(tmp_path / "set" / "stores" / "mit_bih_arrhythmia")
    assert (
        build(tmp_path / "set", "--root", f"mit_bih_arrhythmia={root}", "tasks.localization.windows_per_record=1") == 0
    )
    assert json.loads((tmp_path / "set" / "measured.json").read_text()) == took


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """MIMIC and MIT-BIH with everything that can be wrong with a record, built: (folder, root)."""
    root = tmp_path_factory.mktemp("broken")
    mimic, beats = root / "mimic", root / "mitdb"
    simulate("mimic", mimic, patients=12, seed=4, progress=False)
    index = pd.read_csv(mimic / "record_list.csv", dtype=str)
    paths = [mimic / path for path in index["path"]]

    def damage(row, suffix, change):
        path = paths[row].with_suffix(suffix)
        path.write_bytes(change(path.read_bytes()))

    damage(0, ".dat", lambda content: content[:999])  # cut short
    damage(1, ".hea", lambda content: content.replace(b" 5000", b" 9000"))  # a header that claims more than there is
    paths[2].with_suffix(".dat").unlink()
    paths[3].with_suffix(".hea").unlink()
    damage(4, ".hea", lambda content: b"")
    damage(5, ".hea", lambda content: content.replace(b"/mV", b"/mmHg"))
    damage(11, ".hea", lambda content: content.replace(b" 5000", b" 1500"))  # a header that claims less than there is
    damage(12, ".hea", lambda content: content.replace(b" 500 ", b" -5 "))
    lead = np.frombuffer(paths[6].with_suffix(".dat").read_bytes(), "<i2").reshape(-1, 12).copy()
    lead[:, 8] = -32768  # a lead of invalid samples alone, and some in another
    lead[100:110, 0] = -32768
    paths[6].with_suffix(".dat").write_bytes(lead.tobytes())
    pd.concat([index, index.iloc[[7, 8]], index.iloc[[7]]]).to_csv(mimic / "record_list.csv", index=False)
    reports = pd.read_csv(mimic / "machine_measurements.csv", dtype=str)
    study = reports["study_id"] == index["study_id"][9]
    reports.loc[study, [f"report_{n}" for n in range(18)]] = None
    reports.loc[study, ["report_0", "report_1", "report_2"]] = [
        'Sinus rhythm, "regular"; EKG | 2',
        "  with\na new line. ",
        "--- Warning: machine",
    ]
    reports.loc[reports["study_id"] == index["study_id"][10], [f"report_{n}" for n in range(18)]] = None
    reports.to_csv(mimic / "machine_measurements.csv", index=False)
    steady = [(k + 0.5, "V" if k % 7 == 3 else "N") for k in range(60)]
    for name in ("100", "101", "102"):
        write_annotated(beats, name, beat_train(60.0), beats=steady)
    write_annotated(beats, "103", beat_train(60.0), beats=[*steady, (61.0, "V"), (75.0, "N")])  # two past the end
    write_annotated(beats, "104", beat_train(60.0), beats=steady)
    (beats / "104.atr").write_bytes(b"\x00")
    write_annotated(beats, "105", beat_train(60.0), beats=())  # none at all
    folder = root / "set"
    asked = (
        "--root",
        f"mimic={mimic}",
        "--root",
        f"mit_bih_arrhythmia={beats}",
        "tasks.localization.windows_per_record=2",
    )
    assert build(folder, *asked) == 2  # more than a fifth of MIMIC
    assert build(folder, *asked, "corpora.mimic.max_skipped=0.5") == 0
    return folder, index


def test_bad_records_are_skipped_listed_and_counted(broken):
    folder, index = broken
    skipped = pd.read_csv(folder / "stores" / "mimic" / "skipped.csv").set_index("id")["reason"]
    ids = [f"mimic/{study}" for study in index["study_id"]]
    reasons = {
        ids[0]: "cut short",
        ids[1]: "cut short",
        ids[2]: "missing",
        ids[3]: "missing",
        ids[4]: "broken",
        ids[5]: "no voltage",
        ids[11]: "holds 120,000 bytes",
        ids[12]: "sampling rate is '-5'",
    }
    for record, words in reasons.items():
        assert words in skipped[record], skipped[record]
    assert (
        sorted(skipped.index[skipped.str.contains("listed twice")]) == sorted([ids[7], ids[7], ids[8]])
        and len(skipped) == 11
    )
    beats = pd.read_csv(folder / "stores" / "mit_bih_arrhythmia" / "skipped.csv").set_index("id")["reason"]
    assert (
        list(beats.index) == ["mit_bih_arrhythmia/104", "mit_bih_arrhythmia/105"]
        and beats.str.contains("annotations").all()
    )
    known, card = facts(folder)["sources"], (folder / "README.md").read_text()
    assert known["mimic"]["skipped"] == 11 and known["mimic"]["broken_leads"] and known["mimic"]["interpolated"] >= 10
    assert known["mit_bih_arrhythmia"]["outside"] == 2
    for name, source in known.items():
        line = next(line for line in card.splitlines() if line.startswith(f"| {name} |"))
        assert line.split(" | ")[3:] == [
            f"{source['skipped']}",
            f"{source['interpolated']}",
            f"{source['clipped']}",
            f"{source['outside']} |",
        ]
    stores = open_dataset(folder).stores
    assert not stores["mimic"].read(ids[6])[1][8 - 2 : 9].all() and not set(reasons) & set(stores.records.index)


def test_reports_with_separators_stay_whole(broken):
    folder, index = broken
    data = open_dataset(folder)
    said = {sample.records[0].record: sample.answer for sample in data.questions if sample.task == "report"}
    assert said[f"mimic/{index['study_id'][9]}"] == 'Report: Sinus rhythm, "regular"; ECG | 2, with a new line'
    assert f"mimic/{index['study_id'][10]}" not in said
    assert {"pool": "report", "why": "record without a usable statement", "count": 1} in facts(folder)["dropped"]
    assert "| report | record without a usable statement | 1 |" in (folder / "README.md").read_text()


def test_what_is_left_of_bad_records_passes_the_check(broken, capsys):
    assert main(["check", str(broken[0]), "llm=tiny"]) == 0
    assert " 0 failures" in capsys.readouterr().out


@real_data
def test_real_corpora(tmp_path, capsys):
    roots = ["--root", f"ptbxl={REAL / 'ptbxl'}", "--root", f"mit_bih_arrhythmia={REAL / 'mitdb'}"]
    limits = [
        "corpora.ptbxl.limit=90",
        "corpora.mit_bih_arrhythmia.limit=9",
        "tasks.localization.windows_per_record=3",
        "tasks.localization.sizes.mit_bih_arrhythmia=50",
    ]
    assert build(tmp_path / "a", *limits, *roots) == 0 and build(tmp_path / "b", *limits, *roots, workers=2) == 0
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    known, card = facts(tmp_path / "a"), (tmp_path / "a" / "README.md").read_text()
    assert set(known["sources"]) == {"ptbxl", "mit_bih_arrhythmia"} and known["sources"]["ptbxl"]["records"] == 90
    assert (
        "PTB-XL, a large publicly available electrocardiography dataset 1.0.3; licence CC BY 4.0" in card
        and "simulated" not in card
    )
    assert (
        known["sources"]["ptbxl"]["origin"]["simulated"] is None
        and len(known["sources"]["ptbxl"]["origin"]["cite"]) == 3
    )
    assert sum(row["count"] for row in known["counts"] if row["subset"] == "mit_bih_arrhythmia") == 50
    assert "| localization_short | beyond the size asked for |" in card
    assert main(["check", str(tmp_path / "a"), "llm=tiny"]) == 0
    patients = open_dataset(tmp_path / "a").stores.records.groupby("patient")["split"].nunique()
    assert patients.max() == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--root", "mimic"], "give NAME=DIR"),
        (["--root", "=x"], "give NAME=DIR"),
        (["--root", "mimik=x"], "did you mean 'mimic'"),
        (
            ["--root", "mimic={tmp}/nowhere", "--root", "mimic={tmp}"],
            "mimic has the root {tmp}/nowhere already; give each name once",
        ),
        (["--root", "mimic={tmp}/nowhere"], "there is no folder {tmp}/nowhere"),
        (["--root", "mimic={tmp}"], "record_list.csv is missing"),
        (["--root", "mit_bih_st={tmp}"], "lists no recording"),
        (["nowhere.yaml"], "nowhere.yaml: no such file"),
        (["a.yaml", "b.yaml"], "give one experiment file"),
        (["tasks.localization.pools=[long]"], "'long' is unknown"),
        (["tasks.localization.windows_per_records=1"], "did you mean 'windows_per_record'"),
        (
            ["questions.windows_per_record=1"],
            "command line: questions.windows_per_record: is now tasks.localization.windows_per_record",
        ),
        (
            [
                f"corpora.{name}=null"
                for name in ("mimic", "ptbxl", "mit_bih_arrhythmia", "mit_bih_st", "european_st_t")
            ],
            "there is none to build",
        ),
        (["tasks.ecg_qa.folders.ptbxl={tmp}/none"], "tasks.ecg_qa.folders.ptbxl: there is no folder"),
    ],
)
def test_what_its_user_can_mend(tmp_path, capsys, arguments, words):
    assert build(tmp_path / "set", *(argument.format(tmp=tmp_path) for argument in arguments)) == 2
    assert words.format(tmp=tmp_path) in capsys.readouterr().err
    with pytest.raises(DataError, match="no finished dataset"):
        open_dataset(tmp_path / "set")


def test_a_file_in_the_folders_place(tmp_path, capsys):
    (tmp_path / "set").write_text("")
    assert build(tmp_path / "set", *FEW) == 2
    assert "cannot be made a dataset's folder" in capsys.readouterr().err


@pytest.mark.parametrize("mine", ["README.md", "corpora/notes.txt", "questions.csv"])
def test_a_folder_of_its_user_s_own_is_not_written_over(tmp_path, capsys, mine):
    path = tmp_path / "mine" / mine
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    assert build(tmp_path / "mine", *FEW) == 2
    assert "holds files of yours and no dataset" in capsys.readouterr().err
    assert path.read_text() == "mine" and list((tmp_path / "mine").iterdir()) == [
        tmp_path / "mine" / mine.partition("/")[0]
    ]


@pytest.mark.parametrize(("arguments", "words"), [
    (["--to", ""], "--to: it is empty"), (["--to", "{tmp}", "--workers", "-1"], "'-1' is no whole number of at least 0"),
    (["--to", "{tmp}", "--workers", "two"], "'two' is no whole number")])  # fmt: skip
def test_arguments_that_are_none(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["build", *(argument.format(tmp=tmp_path) for argument in arguments)])
    assert end.value.code == 2 and words in capsys.readouterr().err and not any(tmp_path.iterdir())


def test_a_log_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "set" / "build.log").mkdir(parents=True)
    assert build(tmp_path / "set", *FEW) == 2
    assert f"{tmp_path / 'set' / 'build.log'}: no log can be written there (Is a directory)" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["1.10", "my set #1", "a: b", 'tom\'s "set"', "null"])
def test_any_name_of_a_folder_is_a_root(tmp_path, monkeypatch, name):
    write_annotated(
        tmp_path / name, "100", beat_train(30.0), beats=[(k + 0.5, "V" if k % 5 == 2 else "N") for k in range(30)]
    )
    monkeypatch.chdir(tmp_path)
    assert build("set", "tasks.localization.windows_per_record=1", "--root", f"mit_bih_arrhythmia={name}") == 0
    assert len(open_dataset("set").stores["mit_bih_arrhythmia"]) == 1


def test_two_corpora_of_one_reader_are_two_under_their_keys(tmp_path, capsys):
    settings = [
        f"corpora.{key}.{setting}"
        for key, seed in (("mine", 1), ("theirs", 2))
        for setting in ("name=mit_bih_arrhythmia", "patients=5", "seconds=30", f"seed={seed}")
    ]
    settings += [
        "tasks.localization.windows_per_record=1",
        *(f"corpora.{name}=null" for name in ("mimic", "ptbxl", "mit_bih_arrhythmia", "mit_bih_st", "european_st_t")),
    ]
    assert build(tmp_path / "set", *settings) == 0
    known, data = facts(tmp_path / "set"), open_dataset(tmp_path / "set")
    assert known["sources"].keys() == {"mine", "theirs"} and len(data.stores["mine"]) == len(data.stores["theirs"]) == 5
    assert {source["origin"]["title"] for source in known["sources"].values()} == {"MIT-BIH Arrhythmia Database"}
    assert {id.partition("/")[0] for id in data.stores.records.index} == {"mine", "theirs"}
    assert {subset.removesuffix("_long") for subset in data.questions.column("subset")} == {"mine", "theirs"}
    assert build(tmp_path / "set", *settings) == 0  # found again
    assert (
        build(tmp_path / "set", *settings, "corpora.mine.patients=6") == 2
        and "another corpus mine" in capsys.readouterr().err
    )


def test_the_experiment_of_a_command_line():
    assert (
        loaded(["seed=3"]).seed == 3 and loaded(["seed=3"], ["seed=4"]).seed == 4 and loaded([]).name == "anyecg_chat"
    )
    assert (
        loaded(["experiments/ablation_no_replay.yaml", "seed=2"], default=["seed=9"]).replay == 0
        and loaded([], default=["seed=9"]).seed == 9
    )


def homes(folder):
    """Of every question of a dataset: its split, its records, and their patients by the store."""
    data = open_dataset(folder)
    patients = data.stores.records["patient"]
    for split, sample in zip(data.questions.column("split"), data.questions):
        records = [window.record for window in sample.records]
        yield split, records, [patients[record] for record in records]


def assert_apart(folder):
    """No record and no patient is in questions of two splits, so no window is."""
    splits = {}
    for split, records, patients in homes(folder):
        for key in (*records, *(f"patient of {patient}" for patient in patients)):
            assert splits.setdefault(key, split) == split, key
    assert {"train", "test"} <= set(splits.values())
    return splits


def test_no_patient_and_no_record_is_in_two_splits(everything):
    splits = assert_apart(everything)
    assert {key.partition("/")[0] for key in splits if not key.startswith("patient")} == set(
        facts(everything)["sources"]
    )
    assert {len(set(patients)) for _, _, patients in homes(everything)} == {1, 2}  # ECG-QA compares two patients


def test_the_inter_patient_halves_are_apart(tmp_path):
    settings = ["corpora.mit_bih_arrhythmia.patients=36", "corpora.mit_bih_arrhythmia.seconds=30", "corpora.mit_bih_arrhythmia.split=inter_patient",
                "tasks.localization.windows_per_record=2"]  # fmt: skip
    others = [f"corpora.{name}=null" for name in ("mimic", "ptbxl", "mit_bih_st", "european_st_t")]
    assert build(tmp_path / "set", *settings, *others) == 0
    splits = assert_apart(tmp_path / "set")
    assert {splits.get(f"mit_bih_arrhythmia/{name}", "test") for name in (100, 103, 105, 111, 113, 117, 121, 123)} == {
        "test"
    }
    assert "test" not in {
        splits.get(f"mit_bih_arrhythmia/{name}")
        for name in (101, 106, 108, 109, 112, 114, 115, 116, 118, 119, 122, 124)
    }


def test_a_run_trains_on_a_built_dataset(everything, small_cache, tmp_path):
    overrides = [
        *SMALL,
        "curriculum=[stage1,stage3]",
        "evaluation.limit=12",
        "evaluation.views=[signal]",
        f"cache={small_cache}",
        f"output={tmp_path}",
    ]
    assert run.main(["experiments/anyecg_chat.yaml", *overrides, f"dataset={everything}"]) == 0
    (folder,) = tmp_path.iterdir()
    answered = {json.loads(line)["id"] for line in (folder / "predictions.jsonl").read_text().splitlines()}
    data = open_dataset(everything)
    assert answered <= {data.questions[row].id for row in data.questions.select(split="test")} and len(answered) >= 20


def test_a_run_on_no_dataset(tmp_path, capsys):
    assert run.main(["experiments/anyecg_chat.yaml", f"dataset={tmp_path}/none", f"output={tmp_path}/runs"]) == 2
    assert f"{tmp_path}/none is no finished dataset" in capsys.readouterr().err
