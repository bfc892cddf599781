"""A wheel of an sdist of the checkout, installed into an environment of its own, works from another folder."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXPERIMENTS = {str(path.relative_to(ROOT)) for path in (ROOT / "experiments").rglob("*") if path.is_file()}
TOUCHED = shutil.ignore_patterns(".git", ".venv", "runs", "models", "site", "*.egg-info", "__pycache__", ".*_cache")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(sdist, wheel) by setuptools alone, as a build front end asks it, from a copy of the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=TOUCHED)
    back_end = "import sys; from setuptools import build_meta as b; print(getattr(b, sys.argv[1])(sys.argv[2]))"

    def build(what, where):
        subprocess.run([sys.executable, "-c", back_end, what, str(folder)], cwd=where, check=True, capture_output=True)

    build("build_sdist", source)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as opened:
        opened.extractall(folder, filter="data")
    build("build_wheel", folder / sdist.name.removesuffix(".tar.gz"))
    (wheel,) = folder.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """An environment with the wheel, and of everything else what this one has."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    uv = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "--offline",
        "--no-deps",
        "--python",
        str(python),
        str(built[1]),
    ]
    subprocess.run(uv, check=True, capture_output=True)
    (own,) = folder.glob("lib/python*/site-packages")
    (own / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def call(python, folder, *arguments):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [str(python), *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=800
    )


@pytest.mark.slow
def test_what_is_packed(built):
    sdist, wheel = built
    with zipfile.ZipFile(wheel) as opened:
        packed = {name.partition("/data/share/anyecg/")[2] or name for name in opened.namelist()}
    kept = {str(path.relative_to(ROOT)) for path in (ROOT / "anyecg").rglob("*") if path.is_file()}
    kept = {path for path in kept if "__pycache__" not in path}
    assert packed >= EXPERIMENTS | kept and "anyecg/data/corpora/glossary.tsv" in kept
    assert not [name for name in packed if name.startswith(("tests", "docs", "notebooks", "benchmarks"))]
    with tarfile.open(sdist) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert names >= EXPERIMENTS and {"LICENSE", "README.md", "pyproject.toml"} <= names


@pytest.mark.slow
def test_it_runs_from_another_folder(installed, tmp_path):
    where = call(installed, tmp_path, "-c", "import anyecg; print(anyecg.__file__)")
    assert Path(where.stdout.strip()).is_relative_to(installed.parents[1]), where.stderr
    command = str(installed.with_name("anyecg"))
    shown = subprocess.run(
        [command, "run", "experiments/baselines/ranker_prompts.yaml", "--show"],
        cwd=tmp_path, capture_output=True, text=True, timeout=800,
    )  # fmt: skip
    assert shown.returncode == 0 and "name: baseline_ranker_prompts" in shown.stdout, shown.stderr
    made = call(installed, tmp_path, "-m", "anyecg.data", "simulate", "ptbxl", "set", "--patients", "2")
    assert made.returncode == 0 and (tmp_path / "set" / "ptbxl_database.csv").exists(), made.stderr
    code = "from anyecg.config.shipped import experiments as e; print(*sorted(p.name for p in e().rglob('*.*')))"
    found = call(installed, tmp_path, "-c", code)
    assert found.stdout.split() == sorted(Path(name).name for name in EXPERIMENTS), found.stderr
