"""A stage watched while it trains: validation loss, the best weights, Lightning loggers, deterministic kernels."""

import csv
import json

import pytest
import torch
from lightning.pytorch.loggers import Logger
from safetensors.torch import load_file

from anyecg import config
from anyecg.config.schema import TrainerConfig
from anyecg.training.assembly import build_model
from anyecg.training.determinism import deterministic
from anyecg.training.loggers import CSV, loggers
from anyecg.training.machine import check_machine
from anyecg.training.pipeline import run_stages
from anyecg.training.planning import plan
from anyecg.training.validation import Validation
from anyecg.types import ConfigError
from tests.conftest import SMALL

RECIPE = "experiments/anyecg_chat.yaml"
STAGES = ("language", "contrastive", "stage1")
SHORT = [*SMALL, "curriculum=[contrastive,stage1]", "encoder.dropout=0.1"]


def run(data, folder, *overrides):
    """Train the three stages; returns stage -> its folder."""
    experiment = config.load(RECIPE, [*SHORT, f"cache={folder}", *overrides])
    run_stages(experiment, build_model(experiment, data), data, experiment.text_encoder.build())
    return {stage.name: stage.folder for stage in plan(experiment, data.fingerprint)}


def validated(folder):
    with (folder / "loss.csv").open() as file:
        return {
            int(row["step"]): float(row["validation_loss"]) for row in csv.DictReader(file) if row["validation_loss"]
        }


def weights(folder):
    return {
        f"{path.name}/{name}": value
        for path in sorted(folder.rglob("*.safetensors"))
        for name, value in load_file(path).items()
    }


def every(number, *stages):
    return [f"stages.{name}.validate.every={number}" for name in stages or STAGES]


@pytest.fixture(scope="module")
def watched(small_data, tmp_path_factory):
    return run(small_data, tmp_path_factory.mktemp("watched"), *every(1))


def test_validation_changes_no_weight_and_is_of_every_objective(small_data, watched, tmp_path):
    plain = run(small_data, tmp_path, *(f"stages.{name}.validate.questions=0" for name in STAGES))
    for name in STAGES:
        assert plain[name].name == watched[name].name  # the same key
        one, other = weights(plain[name]), weights(watched[name])
        assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
        assert set(validated(watched[name])) == {1, 2, 3} and not validated(plain[name])
        assert all(0 < loss < 20 for loss in validated(watched[name]).values())


def test_the_best_weights_are_the_output_where_they_are_asked_for(small_data, watched, tmp_path, monkeypatch):
    """The measured loss is replaced by one that grows with the step, on every machine: the first step is the best."""
    monkeypatch.setattr(Validation, "_measured", lambda self, trainer, module: float(trainer.global_step))
    settings = ["curriculum=[contrastive]", *every(1)]
    last, best = (
        run(small_data, tmp_path, *settings),
        run(small_data, tmp_path, *settings, "stages.contrastive.keep=best"),
    )
    losses = validated(best["contrastive"])
    assert losses == validated(last["contrastive"])
    step = min(losses, key=losses.get)
    assert step == 1
    told = json.loads((best["contrastive"] / "stage.json").read_text())["kept"]
    assert told["step"] == step and told["validation_loss"] == pytest.approx(losses[step], abs=1e-5)
    one, other = weights(last["contrastive"]), weights(best["contrastive"])
    assert last["contrastive"].name != best["contrastive"].name and one.keys() == other.keys()
    assert any(not torch.equal(one[key], other[key]) for key in one)


def test_best_without_a_validation_loss_is_a_mistake():
    with pytest.raises(ConfigError, match="stages.stage1.keep: best is by the validation loss"):
        config.load(RECIPE, ["stages.stage1.keep=best", "stages.stage1.validate.questions=0"])
    with pytest.raises(ConfigError, match="stages.stage1.keep: 'first' is unknown"):
        config.load(RECIPE, ["stages.stage1.keep=first"])


class Told(Logger):
    """Keeps what it is given."""

    def __init__(self, key):
        super().__init__()
        self.key, self.points = key, {}

    name = version = "told"

    def log_metrics(self, metrics, step=None):
        self.points.setdefault(step, {}).update(metrics)

    def log_hyperparams(self, *_, **__):
        pass


class OfOnesOwn(CSV):
    """A logger from outside the package."""

    made = []

    def logger(self, folder, experiment, stage, key):
        self.made.append(Told((experiment, stage, folder.is_dir())))
        return self.made[-1]


def test_a_logger_of_ones_own_is_given_everything(small_data, tmp_path):
    OfOnesOwn.made.clear()
    run(small_data, tmp_path, "curriculum=[]", *every(3), f"trainer.logger={__name__}:OfOnesOwn")
    (told,) = OfOnesOwn.made
    assert told.key == ("anyecg_chat", "language", True) and set(told.points) == {1, 2, 3}
    assert set(told.points[1]) == {f"language/{name}" for name in ("loss", "grad_norm", "lr", "samples_per_second")}
    assert set(told.points[3]) - set(told.points[1]) == {"language/validation_loss"}


def test_tensorboard_has_the_curves_in_the_stages_folder(small_data, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = run(small_data, tmp_path, "curriculum=[]", *every(1), "trainer.logger=tensorboard")["language"]
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    assert {
        point.step: pytest.approx(point.value, abs=1e-4) for point in events.Scalars("language/validation_loss")
    } == validated(folder)
    assert len(events.Scalars("language/loss")) == 3 and len(events.Scalars("language/lr")) == 3


@pytest.mark.parametrize("name", loggers.table())
def test_a_logger_whose_package_is_missing_is_told_before_training(name, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    trainer = config.build(TrainerConfig, {"logger": name}, "test")
    if loggers[name].needs is None:
        check_machine(trainer)
        return
    with pytest.raises(ConfigError, match=rf"trainer.logger: .*anyecg\[{name}\]"):
        check_machine(trainer)


@pytest.mark.parametrize(("name", "package"), [("wandb", "wandb"), ("mlflow", "mlflow")])
def test_the_servers_loggers_work_offline_and_go_on(name, package, small_data, tmp_path, monkeypatch):
    pytest.importorskip(package)
    logger = {"wandb": "{name: wandb, offline: true}", "mlflow": "mlflow"}[name]
    folder = run(small_data, tmp_path, "curriculum=[]", *every(1), f"trainer.logger={logger}")["language"]
    assert validated(folder) and (
        list(folder.glob("wandb/offline-run-*")) if name == "wandb" else (folder / "mlflow_run").exists()
    )


def test_deterministic_mode_is_on_while_a_stage_trains_and_off_after(small_data, watched, tmp_path, monkeypatch):
    seen = []
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    for setting, expected in ((True, (True, False)), ("warn", (True, True)), (False, (False, False))):
        with deterministic(setting):
            seen.append(
                (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())
            )
        assert seen[-1] == expected and not torch.are_deterministic_algorithms_enabled()
    ours = run(small_data, tmp_path, *every(1), "trainer.deterministic=true")
    one, other = weights(ours["stage1"]), weights(watched["stage1"])
    # on a CPU they are the same kernels
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_a_word_that_is_no_mode_is_named():
    with pytest.raises(ConfigError, match="trainer.deterministic: true, false or warn, not 'maybe'"):
        config.load(RECIPE, ["trainer.deterministic=maybe"])
    assert config.load(RECIPE, ["trainer.deterministic=true"]).trainer.deterministic is True
    assert config.load(RECIPE, ["trainer.deterministic=warn"]).trainer.deterministic == "warn"
