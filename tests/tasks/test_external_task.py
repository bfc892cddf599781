"""A task in a file outside the package: built, trained on, evaluated and compared by "module:Class"; and questions
that no seed moves.
"""

import json

import pytest

from anyecg import config
from anyecg.data.__main__ import main as data_main
from anyecg.evaluation.comparison import compare, read_run
from anyecg.run import main
from anyecg.tasks import tasks as registry
from anyecg.tasks.questions import built_tasks
from anyecg.types import ConfigError
from tests.building import only

MINE = "tests.tasks.interval_task:BeatInterval"


@pytest.fixture(scope="module")
def experiment_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "mine.yaml"
    path.write_text(f"""
name: mine
corpora: {{mit_bih_arrhythmia: {{patients: 12, seconds: 30}}}}
tasks: {{report: null, multi_ecg: null, classification: null, ecg_qa: null, localization: {{windows_per_record: 1}}, mine: {{name: "{MINE}", seconds: 8.0}}}}
encoder: {{name: vit, dim: 32, layers: 1, heads: 2, mlp: 64}}
llm: {{name: tiny, dim: 32, layers: 1, heads: 2, mlp: 64}}
text_encoder: lexical
stages:
  language: {{trains: [llm_weights, markers], tasks: {{beat_interval: 1}}, view: text, samples: 32, batch_size: 8}}
  only: {{trains: [encoder, connector, markers], tasks: {{beat_interval: 1}}, samples: 32, batch_size: 8}}
curriculum: [only]
evaluation: {{tasks: [mine, localization], views: [signal, blind], bootstrap: 20, max_new_tokens: 8, references: []}}
""")
    return path


@pytest.mark.slow
def test_a_task_of_a_file_is_trained_on_and_evaluated(experiment_file, tmp_path, capsys):
    for seed in (0, 1):
        assert main([str(experiment_file), f"seed={seed}", f"output={tmp_path}/runs", f"cache={tmp_path}/cache"]) == 0
    runs = [read_run(folder) for folder in sorted((tmp_path / "runs").iterdir())]
    metrics = [run.metrics["tasks"] for run in runs]
    assert (
        metrics[0]["mine"]["primary"] == "within"
        and 0 <= metrics[0]["mine"]["views"]["signal"]["metrics"]["within"] <= 1
    )
    assert metrics[0]["mine"]["component"] == MINE
    assert [one["mine"]["questions"] for one in metrics] == [
        metrics[0]["mine"]["questions"]
    ] * 2  # no seed moves a test question
    assert [one["localization"]["questions"] for one in metrics] == [metrics[0]["localization"]["questions"]] * 2
    grids = compare(runs, resamples=20)
    assert any("mine" in grid.title for grid in grids)
    assert main([str(experiment_file), "--plan", f"cache={tmp_path}/none"]) == 0


@pytest.mark.slow
def test_a_dataset_of_it_is_built_shown_and_checked(experiment_file, tmp_path, capsys):
    folder = tmp_path / "set"
    assert data_main(["build", "--to", str(folder), str(experiment_file), "--workers", "0"]) == 0
    assert "**mine**: the median time between annotated beats" in (folder / "README.md").read_text()
    assert data_main(["check", str(folder), "llm=tiny"]) == 0
    assert (
        data_main(
            ["show", str(folder), "--task", "mine", "--out", str(tmp_path / "page.png"), "--split", "train", "--n", "1"]
        )
        == 0
    )
    assert "Interval between beats: mit_bih_arrhythmia" in capsys.readouterr().out
    assert data_main(["export", str(folder), "--to", str(tmp_path / "rows.json"), "--task", "mine"]) == 0
    assert json.loads((tmp_path / "rows.json").read_text())[0]["task"] == "mine"


def test_an_evaluation_names_a_task_by_key_name_or_class(experiment_file):
    loaded = config.load(experiment_file, [f"evaluation.tasks=['{MINE}',report]"])
    assert [*loaded.evaluated_tasks()] == ["mine", "report"]
    alone = config.load(
        experiment_file,
        ["tasks.mine=null", "stages.language.tasks={localization_short: 1}", f"evaluation.tasks=['{MINE}']"],
        trained=False,
    )
    assert [*alone.evaluated_tasks()] == ["beat_interval"]
    with pytest.raises(ConfigError, match="evaluation.tasks: no task is called 'mein'"):
        config.load(experiment_file, ["evaluation.tasks=[mein]"])


def test_two_tasks_make_no_one_pool():
    twice = only(localization={}) | {"again": only(localization={})["localization"]}
    with pytest.raises(
        ConfigError, match="tasks.again: makes the pool 'localization_short' as tasks.localization does"
    ):
        built_tasks(twice, {})


@pytest.mark.parametrize("name", sorted(registry.table()))
def test_every_task_says_what_it_owns(name):
    task = registry[name]
    assert (
        task.pools
        and task.title
        and task.rule
        and task.needs != registry[name].__mro__[1].needs
        and set(task.words) <= set(task.pools)
    )
    made = task()
    assert set(task.makes(made.cfg)) <= set(task.pools)
    assert all(len(sample) and min(sample) > 0 for pool in task.pools for sample in made.lengths(pool))
