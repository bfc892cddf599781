"""A finished toy run and its export, made once for all tests of checkpoints."""

import pytest

from anyecg import config
from anyecg.cli.run import run
from anyecg.export import main
from tests.conftest import SMALL

FEW = (
    "curriculum=[contrastive,stage2]",
    "evaluation.tasks=[multi_ecg]",
    "evaluation.limit=8",
    "evaluation.bootstrap=5",
)


def settings(cache, output, *overrides):
    return config.load("experiments/anyecg_chat.yaml", [*SMALL, *FEW, f"cache={cache}", f"output={output}", *overrides])


@pytest.fixture(scope="session")
def toy(small_cache, tmp_path_factory):
    """A finished run and its export: (experiment, run's folder, exported folder)."""
    output = tmp_path_factory.mktemp("runs")
    experiment = settings(small_cache, output)
    folder = run(experiment, "toy")
    assert main([str(folder), "--to", str(output / "model")]) == 0
    return experiment, folder, output / "model"
