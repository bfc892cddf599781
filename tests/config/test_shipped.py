"""What the package reads of `experiments/` is found in a checkout, and is part of what is installed."""

import tomllib
from pathlib import Path

import pytest

from anyecg import config
from anyecg.cli.suite.file import is_suite
from anyecg.config import shipped
from anyecg.types import ConfigError

ROOT = Path(__file__).parents[2]


def test_in_a_checkout_it_is_the_folder_itself():
    assert shipped.experiments() == ROOT / "experiments"


def test_installed_it_lies_under_the_environment(monkeypatch, tmp_path):
    monkeypatch.setattr(shipped, "CHECKOUT", tmp_path / "experiments")
    monkeypatch.setattr("sysconfig.get_path", lambda name: {"data": str(tmp_path)}[name])
    assert shipped.experiments() == tmp_path / "share" / "anyecg" / "experiments"


def test_every_file_of_it_is_installed():
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]
    found = {path: folder for folder, patterns in told.items() for pattern in patterns for path in ROOT.glob(pattern)}
    files = [path for path in (ROOT / "experiments").rglob("*") if path.is_file()]
    assert sorted(found) == sorted(files)
    assert all(found[path] == str(shipped.INSTALLED / path.parent.relative_to(ROOT / "experiments")) for path in files)


def test_a_shipped_experiment_is_found_from_any_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert config.load("experiments/baselines/ranker_prompts.yaml").name == "baseline_ranker_prompts"
    assert is_suite("experiments/table8.yaml") and not is_suite("experiments/anyecg_chat.yaml")
    with pytest.raises(ConfigError, match=r"^experiments/anyecg_chatt.yaml: no such file"):
        config.load("experiments/anyecg_chatt.yaml")
    own = tmp_path / "experiments" / "anyecg_chat.yaml"  # one's own file comes first
    own.parent.mkdir()
    own.write_text(f"base: {ROOT / 'experiments' / 'anyecg_chat.yaml'}\nname: mine\n")
    assert config.load("experiments/anyecg_chat.yaml").name == "mine"
