"""A suite: the recipe and its ablations over seeds, every shared stage trained once, and one table that can be
believed.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file

from anyecg import config
from anyecg.cli import suite
from anyecg.cli.suite.members import SuiteError, run_members
from anyecg.cli.suite.plan import plan_grids, sample_visits, saved, schedule
from anyecg.config.schema import Experiment
from anyecg.evaluation.bootstrap import paired_interval
from anyecg.evaluation.comparison import compare, read_run
from anyecg.evaluation.differences import (
    AGREES,
    DISAGREES,
    UNDECIDED,
    UNKNOWN,
    UNMEASURED,
    Setting,
    changes_grid,
    measure,
    signs_grid,
)
from anyecg.evaluation.published import PublishedTable
from anyecg.evaluation.published import load as load_published
from anyecg.evaluation.seeds import pool
from anyecg.files import atomic_write
from anyecg.run import main
from anyecg.training.assembly import build_model
from anyecg.training.pipeline import run_stages
from anyecg.training.planning import plan
from anyecg.types import AnyECGError, ConfigError, DataError, DiskFullError
from tests.conftest import SMALL
from tests.training.test_resume import disk_of

TABLE8 = "experiments/table8.yaml"
ABLATIONS = ["no_contrastive", "no_lead_emb", "no_dynamic_input", "full_tuning", "no_replay", "no_curriculum"]


def written(folder, text, name="suite.yaml"):
    """A suite file beside copies of the shipped experiments."""
    shutil.copytree("experiments", folder / "experiments", dirs_exist_ok=True)
    path = folder / "experiments" / name
    path.write_text(text)
    return path


class TestFile:
    def test_table_8_is_the_recipe_and_the_six_ablations_of_the_paper(self):
        table = suite.load(TABLE8)
        assert [m.experiment.name for m in table.members] == [
            "anyecg_chat",
            *(f"ablation_{name}" for name in ABLATIONS),
        ]
        assert {m.experiment.paper_row for m in table.members} == set(load_published().rows)
        assert table.folder == Path("runs/table8") and [m.folder for m in table.members][:2] == [
            "anyecg_chat",
            "ablation_no_contrastive",
        ]

    def test_overrides_reach_every_member_and_the_folders_names(self):
        table = suite.load(
            TABLE8,
            ["seeds=[0,2]", "suite=[anyecg_chat.yaml,ablation_no_replay.yaml]", "encoder.size=small", "output=out"],
        )
        assert [(m.experiment.name, m.experiment.seed) for m in table.members] == [
            ("anyecg_chat", 0), ("ablation_no_replay", 0), ("anyecg_chat", 2), ("ablation_no_replay", 2)]  # fmt: skip
        assert all(m.experiment.encoder.config.size == "small" for m in table.members)
        assert [m.folder for m in table.members[::2]] == [
            "anyecg_chat+encoder.size=small",
            "anyecg_chat+encoder.size=small_seed=2",
        ]
        assert table.folder == Path("out/table8+encoder.size=small_seeds=0,2")

    def test_common_overrides_of_the_file_are_told_apart_from_the_command_lines(self, tmp_path):
        path = written(
            tmp_path,
            "name: s\nsuite: [anyecg_chat.yaml, ablation_no_replay.yaml]\noverrides: {replay: 0.5, encoder: {size: small}}\n",
        )
        table = suite.load(path, ["encoder.size=tiny"])
        assert [m.experiment.replay for m in table.members] == [0.5, 0.5] and table.members[
            0
        ].experiment.encoder.config.size == "tiny"
        with pytest.raises(ConfigError, match=r"suite.yaml, overrides: encoder.siez: unknown key; did you mean 'size'"):
            suite.load(
                written(
                    tmp_path,
                    "name: s\nsuite: [anyecg_chat.yaml, ablation_no_replay.yaml]\noverrides: {encoder: {siez: small}}\n",
                )
            )

    @pytest.mark.parametrize(("text", "overrides", "told"), [
        ("name: s\nsuites: [a.yaml]\n", [], ["suites: unknown key; did you mean 'suite'?", "suite: is missing"]),
        ("name: s\nsuite: [anyecg_chat.yaml]\nseeds: []\n", [], ["suite: name at least two experiments", "seeds: give at least one"]),
        ("name: s\nsuite: [anyecg_chat.yaml, ablation_no_replya.yaml, x.yaml]\n", [],
         ["ablation_no_replya.yaml: no such file; did you mean", "x.yaml: no such file"]),
        ("name: s\nsuite: [anyecg_chat.yaml, ablation_no_replay.yaml]\n", ["seed=1"], ["a suite has seeds; write seeds=[1]"]),
        ("name: s\nsuite: [anyecg_chat.yaml, ablation_no_replay.yaml]\n", ["encoder.siez=1", "sede=1"], ["sede: unknown key", "encoder.siez: unknown key"]),
        ("name: s\nsuite: [anyecg_chat.yaml, ablation_no_replay.yaml]\nseeds: [a]\n", [], ["seeds: Value 'a'"]),
        ("name: anyecg_chat\nsuite: [anyecg_chat.yaml, ablation_no_replay.yaml]\n", [], ["two things are called 'anyecg_chat'"]),
    ])  # fmt: skip
    def test_every_mistake_is_told_at_once_and_once(self, tmp_path, text, overrides, told):
        with pytest.raises(ConfigError) as error:
            suite.load(written(tmp_path, text), overrides)
        for words in told:
            assert str(error.value).count(words) == 1, str(error.value)


class TestMeaning:
    """What the ablations are, on the resolved experiments."""

    @pytest.fixture(scope="class")
    def members(self):
        return {m.experiment.paper_row: m.experiment for m in suite.load(TABLE8).members}

    def test_each_differs_from_the_recipe_in_one_thing(self, members):
        def changed(name):
            a, b = (config.to_dict(members[row]) for row in ("default", name))
            return {key for key in a if a[key] != b[key]} - {"name", "paper_row", "description"}

        assert {name: changed(name) for name in ABLATIONS} == {
            "no_contrastive": {"curriculum"}, "no_lead_emb": {"encoder"}, "no_dynamic_input": {"input"},
            "full_tuning": {"llm"}, "no_replay": {"replay"}, "no_curriculum": {"curriculum"},
        }  # fmt: skip

    @pytest.mark.parametrize("scale", ["cpu", "paper"])
    def test_without_curriculum_each_pool_is_visited_as_often(self, scale):
        recipe, ablation = (
            config.load(f"experiments/{name}.yaml", [f"scale={scale}"])
            for name in ("anyecg_chat", "ablation_no_curriculum")
        )

        def visits(experiment):
            found = dict.fromkeys(["report", "localization_short", "localization_long", "multi_ecg"], 0.0)
            for stage in (experiment.stages[name] for name in experiment.curriculum if name != "contrastive"):
                weights = stage.tasks | {pool: weight * experiment.replay for pool, weight in stage.replay.items()}
                for pool, weight in weights.items():  # noqa: F402
                    found[pool] += stage.samples * weight / sum(weights.values())
            return found

        assert visits(ablation) == pytest.approx(visits(recipe), rel=1e-4)

    def test_without_replay_a_stage_sees_its_new_data_only_and_as_many_samples(self, members):
        recipe, ablation = members["default"], members["no_replay"]
        assert ablation.replay == 0 and {n: sample_visits(s) for n, s in recipe.stages.items()} == {
            n: sample_visits(s) for n, s in ablation.stages.items()
        }


def rows_of(values, patients=20, seed=0):
    """Rows of the localization task with these mean IoUs, two questions a patient."""
    rng = np.random.default_rng(seed)
    n = 2 * patients
    return pd.DataFrame({
        "id": [f"q{i}" for i in range(n)], "patient": [f"p{i // 2}" for i in range(n)], "parsed": True, "score": np.clip(values + rng.normal(0, 0.3, n), 0, 5),
        "ecgs": 2, "kind": "rhythm",
    })  # fmt: skip


def mean(rows):
    return {"score": float(rows["score"].mean())}


def reducer(rows):
    return mean


class TestSeeds:
    def test_with_one_seed_it_is_the_paired_bootstrap(self):
        a, b = rows_of(2.0), rows_of(2.2, seed=1)
        change = pool({3: a}, reducer, "score", n=200) - pool({3: b}, reducer, "score", n=200)
        assert (change.value, *change.ends()) == pytest.approx(paired_interval(a, b, mean, n=200)["score"])

    def test_over_seeds_the_interval_holds_the_spread_of_seeds_and_of_patients(self):
        """Seeds that disagree widen it; identical seeds leave what the patients alone would give."""
        apart, alike = {s: rows_of(1.0 + s, seed=s) for s in range(3)}, {s: rows_of(2.0) for s in range(3)}
        low, high = pool(apart, reducer, "score", n=150).ends()
        assert pool(apart, reducer, "score", n=150).value == pytest.approx(2.0, abs=0.1) and low < 1.6 and high > 2.4
        one, three = (pool(rows, reducer, "score", n=150).ends() for rows in ({0: rows_of(2.0)}, alike))
        # patients are drawn once for all seeds: their uncertainty does not shrink with seeds
        assert three == pytest.approx(one)

    def test_its_variance_is_that_of_the_mean_over_seeds(self):
        values = np.array([1.0, 1.6, 2.5])
        rows = {s: rows_of(0.0, patients=20).assign(score=value) for s, value in enumerate(values)}
        drawn = pool(rows, reducer, "score", n=600).drawn
        assert drawn.var() == pytest.approx(values.var(ddof=1) / 3, rel=0.15)

    def test_an_undefined_metric_and_one_patient(self):
        assert pool({0: rows_of(1.0)}, lambda _: lambda _: {}, "score", n=10) is None
        assert pool({0: rows_of(1.0, patients=1)}, reducer, "score", n=0).ends() is None

    @pytest.mark.parametrize(("patients", "there"), [(1, False), (19, False), (20, True)])
    def test_fewer_than_twenty_patients_have_no_interval(self, patients, there):
        found = pool({0: rows_of(1.0, patients=patients), 1: rows_of(1.0, patients=30)}, reducer, "score", n=10)
        assert (found.ends() is not None) == there == ((found - found).ends() is not None)


PAPER = PublishedTable(
    "source",
    "Table 8",
    {
        "default": {"multi_ecg": 3.0},
        "worse": {"multi_ecg": 2.5},
        "better": {"multi_ecg": 3.5},
        "null": {"multi_ecg": None},
    },
)


class TestSigns:
    def cells(self, *settings, n=100):
        found = [Setting(name, row, {0: {"multi_ecg": {"signal": rows}}}) for name, row, rows in settings]
        return list(measure(found, "multi_ecg", PAPER, n=n))

    def test_each_verdict(self):
        base, low = rows_of(3.0), rows_of(1.0)
        noisy = base.assign(score=base["score"] + np.tile([0.4, 0.4, -0.4, -0.4], len(base) // 4))
        unreadable = base.assign(score=np.nan)
        cells = self.cells(
            ("default", "default", base),
            ("a", "worse", low),
            ("b", "better", low),
            ("c", "worse", noisy),
            ("d", "null", low),
            ("e", "worse", unreadable),
        )
        assert [cell.sign for cell in cells[1:]] == [AGREES, DISAGREES, UNDECIDED, UNKNOWN, UNMEASURED]
        assert cells[1].paper_change == -0.5 and cells[1].change[0] == pytest.approx(
            low["score"].mean() - base["score"].mean()
        )
        grid = signs_grid(cells, "signs")
        assert (
            len(grid.rows) == 5
            and grid.notes[0] == "of 5 cells: 1 agrees, 1 disagrees, 1 undecided, 1 paper not known, 1 not measured"
        )
        assert grid.rows[0][1].endswith("paper -0.500: agrees") and grid.rows[3][1].endswith("paper –: paper not known")

    def test_a_suite_of_which_the_paper_has_nothing_speaks_of_no_paper(self):
        cells = self.cells(("mine", None, rows_of(3.0)), ("other", None, rows_of(1.0)))
        told = [signs_grid(cells, "Table 8"), changes_grid(cells)]
        assert told[0].title == "What each changes" and "paper" not in repr(told)
        assert told[0].rows[0][1].startswith("-")

    def test_without_an_interval_nothing_is_decided(self):
        assert [
            cell.sign for cell in self.cells(("default", "default", rows_of(3.0)), ("a", "worse", rows_of(1.0)), n=0)
        ][1] == UNDECIDED

    def test_questions_that_differ_are_named_with_the_seed(self):
        one, other = rows_of(3.0), rows_of(3.0).iloc[:-1]
        settings = [
            Setting(name, None, {s: {"multi_ecg": {"signal": rows}} for s in (0, 1)})
            for name, rows in (("default", one), ("a", other))
        ]
        with pytest.raises(DataError, match=r"only default \(seed 0\) has 1 ids such as q39"):
            list(measure(settings, "multi_ecg", PAPER))

    def test_a_setting_is_compared_over_the_seeds_that_it_has(self):
        rows = {s: {"multi_ecg": {"signal": rows_of(3.0 + s, seed=s)}} for s in (0, 1)}
        cells = list(
            measure([Setting("default", None, rows), Setting("a", None, {1: rows[1]})], "multi_ecg", PAPER, n=20)
        )
        assert cells[0].seeds == (0, 1) and cells[1].seeds == (1,) and cells[1].change[0] == 0


class TestPlan:
    def test_shared_prefixes_are_counted_once(self):
        table = suite.load(TABLE8, [*SMALL, "cache=/nowhere"])
        steps = schedule(table)
        shared = {(s.member.experiment.paper_row, s.stage.name) for s in steps if s.owner is not s.member}
        assert shared == {(row, "language") for row in ABLATIONS} | {(row, "contrastive") for row in ("no_dynamic_input", "full_tuning", "no_replay", "no_curriculum")} | {
            ("full_tuning", "stage1"), ("no_replay", "stage1")}  # fmt: skip
        assert not any(step.cached for step in steps)
        everything, once = sum(s.visits for s in steps), sum(s.visits for s in steps if s.trained)
        assert everything == 48 * 31 + 144 and saved(steps) == pytest.approx(1 - once / everything) == pytest.approx(
            48 * 12 / everything
        )
        stages, totals = plan_grids(table, steps)
        assert len(stages.rows) == 32 and stages.rows[5][-1] == "shared with anyecg_chat, seed 0"
        assert "35% of the sample visits" in totals.notes[0]

    def test_seeds_share_no_stage(self):
        steps = schedule(
            suite.load(
                TABLE8, [*SMALL, "cache=/nowhere", "seeds=[0,1]", "suite=[anyecg_chat.yaml,ablation_no_replay.yaml]"]
            )
        )
        assert {s.owner.experiment.seed == s.member.experiment.seed for s in steps} == {True}


class TestMembers:
    @pytest.fixture
    def table(self, tmp_path):
        return suite.load(
            TABLE8, [f"output={tmp_path}", "suite=[anyecg_chat.yaml,ablation_no_replay.yaml,ablation_no_lead_emb.yaml]"]
        )

    def test_a_failed_run_stops_no_other_and_is_tried_again(self, table, tmp_path, capsys):
        asked, done, broken = [], set(), {"ablation_no_replay"}

        def run(experiment: Experiment, name: str) -> Path:
            asked.append(name)
            if name in broken:
                raise RuntimeError("out of memory")
            done.add(name)
            return tmp_path / name

        finished, failed = run_members(table, run, lambda experiment, name: name in done)
        assert [m.folder for m in finished] == ["anyecg_chat", "ablation_no_lead_emb"] and list(failed.values()) == [
            "RuntimeError: out of memory"
        ]
        trace = tmp_path / "table8" / "failures" / "ablation_no_replay.txt"
        assert "in run" in trace.read_text()
        with pytest.raises(
            SuiteError, match="(?s)1 of 3 runs failed.*ablation_no_replay, seed 0: RuntimeError: out of memory"
        ):
            suite.complain(table, failed)
        broken.clear()
        finished, failed = run_members(table, run, lambda experiment, name: name in done)
        assert len(finished) == 3 and not failed and not trace.exists()
        assert asked == ["anyecg_chat", "ablation_no_replay", "ablation_no_lead_emb", "ablation_no_replay"]
        log = (tmp_path / "table8" / "suite.log").read_text()
        assert (
            "2 of 3: ablation_no_replay, seed 0: failed: RuntimeError" in log
            and "3 of 3: ablation_no_lead_emb, seed 0: finished earlier" in log
        )

    def test_ctrl_c_and_a_full_disk_stop_the_suite(self, table, tmp_path):
        with pytest.raises(KeyboardInterrupt):
            run_members(table, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()), lambda *_: False)
        begun = []

        def run(experiment, name):
            begun.append(name)
            with disk_of(10), atomic_write(tmp_path / name) as part:
                part.write_text("more than ten bytes")

        with pytest.raises(DiskFullError, match="could not be written"):
            run_members(table, run, lambda *_: False)
        assert len(begun) == 1


@pytest.mark.slow
def test_the_suite_as_its_user_runs_it(small_cache, tmp_path, capsys, monkeypatch):
    """The recipe and two ablations: one is kept from a run of its own, one fails at first; the same command mends
    it.
    """
    members = "suite=[anyecg_chat.yaml,ablation_no_replay.yaml,ablation_no_lead_emb.yaml]"
    common = [*SMALL, f"cache={small_cache}", f"output={tmp_path}", "evaluation.limit=20"]
    assert main(["experiments/anyecg_chat.yaml", *common]) == 0
    (alone,) = (p for p in tmp_path.iterdir() if p.name.startswith("anyecg_chat"))
    before = (alone / "run.log").read_text()

    import anyecg.evaluation.run as command

    real = command.evaluate
    monkeypatch.setattr(
        command,
        "evaluate",
        lambda *a, **k: (_ for _ in ()).throw(AnyECGError("no room")) if "lead_emb" in str(a[3]) else real(*a, **k),
    )
    assert main([TABLE8, *common, members]) == 2
    told = capsys.readouterr().err
    assert (
        "1 of 3 runs failed" in told
        and "ablation_no_lead_emb, seed 0: no room" in told
        and "1 of 3: anyecg_chat, seed 0: finished earlier" in told
    )
    assert (alone / "run.log").read_text() == before
    (folder,) = (p for p in tmp_path.iterdir() if p.name.startswith("table8"))
    assert "no room" in (folder / "table.md").read_text()

    monkeypatch.setattr(command, "evaluate", real)
    monkeypatch.setattr("anyecg.training.pipeline.train", lambda *_: pytest.fail("trained again"))
    assert main([TABLE8, *common, members, "--plan"]) == 0
    assert "in the cache already" in capsys.readouterr().out
    assert main([TABLE8, *common, members]) == 0
    for name in ("table.md", "table.csv", "suite.yaml", "figures/differences.png", "figures/differences.pdf"):
        assert (folder / name).stat().st_size > 0, name
    text, table = (folder / "table.md").read_text(), pd.read_csv(folder / "table.csv")
    assert (
        "| ablation_no_lead_emb | encoder.lead_embedding | True | False |" in text
        and "| ablation_no_replay | replay | 1.0 | 0.0 |" in text
    )
    assert "of 6 cells:" in text and "sharing saves" in text and "Failed" not in text
    assert (
        len(table) == 9
        and set(table["task"]) == {"classification", "localization", "multi_ecg"}
        and set(table["sign"].dropna()) <= {AGREES, DISAGREES, UNDECIDED, UNKNOWN}
    )

    runs = [read_run(tmp_path / name) for name in yaml.safe_load((folder / "suite.yaml").read_text())["runs"]]
    # as many as SMALL says: the same numbers to the last digit
    grids = {grid.title: grid.rows for grid in compare(runs, resamples=20)}
    metrics = json.loads((alone / "metrics.json").read_text())
    for rows in (
        rows
        for title, rows in grids.items()
        if title.startswith(("localization: m", "classification: m", "multi_ecg: m"))
    ):
        for row in rows:
            assert any(
                line.startswith("| " + row[0].split("+")[0]) and " | ".join(row[1:]) in line
                for line in text.splitlines()
            ), row
    assert table.loc[0, "value"] == pytest.approx(
        metrics["tasks"]["classification"]["views"]["signal"]["metrics"]["auc(ptbxl)"], abs=1e-6
    )


def test_what_full_tuning_shares_with_lora_is_the_same_to_the_bit(small_data, small_cache, tmp_path):
    """Stage 1 is shared because an adapter that has not moved is the identity."""
    parts = {}
    for tuning in ("lora", "full"):
        cache = tmp_path / tuning
        experiment = replace(
            config.load("experiments/anyecg_chat.yaml", [*SMALL, f"llm.tuning={tuning}", f"cache={cache}"]),
            curriculum=["stage1"],
        )
        shutil.copytree(small_cache / "lengths", cache / "lengths", dirs_exist_ok=True) if (
            small_cache / "lengths"
        ).exists() else None
        stages = run_stages(experiment, build_model(experiment, small_data), small_data, None)
        parts[tuning] = load_file(stages[-1].folder / "parts.safetensors")
        assert stages[-1].folder.name == plan(experiment, small_data.fingerprint)[-1].folder.name
    assert parts["lora"].keys() == parts["full"].keys() and all(
        torch.equal(parts["lora"][key], parts["full"][key]) for key in parts["lora"]
    )
