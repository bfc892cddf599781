"""What the package reads of `experiments/` is found in a checkout, and is part of what is installed."""

import tomllib
from pathlib import Path

from anyecg.config import shipped

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
