"""The console script `anyecg`: every command of `python -m anyecg.X` under one name, from any folder, quick to help."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from anyecg.__main__ import COMMANDS

REPOSITORY = Path(__file__).parents[2]
ENCODER = '''
from dataclasses import dataclass
from anyecg.encoders.base import Encoder

class ConvEncoder(Encoder):
    """An encoder of this folder."""

    @dataclass(frozen=True)
    class Config:
        width: int = 8
'''
HEAVY = {"torch", "transformers", "lightning", "pandas", "matplotlib", "scipy", "wfdb"}


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """The script that pip puts beside python; where the package is not installed, what pip would write for
    pyproject.toml.
    """
    installed = Path(sys.executable).with_name("anyecg")
    if installed.exists():
        return [str(installed)]
    module, _, name = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"][
        "anyecg"
    ].partition(":")
    path = tmp_path_factory.mktemp("bin") / "anyecg"
    path.write_text(f"import sys\nfrom {module} import {name}\nsys.exit({name}())\n")
    return [sys.executable, str(path)]


def call(script, *arguments, folder):
    return subprocess.run(
        [*script, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_it_names_its_commands(script, tmp_path):
    done = call(script, "--help", folder=tmp_path)
    assert done.returncode == 0 and all(f"\n    {name} " in done.stdout for name in COMMANDS)
    wrong = call(script, "rnu", folder=tmp_path)
    assert wrong.returncode == 2 and "invalid choice: 'rnu'" in wrong.stderr
    assert call(script, folder=tmp_path).returncode == 2


def test_classes_of_the_current_folder_are_found(script, tmp_path):
    (tmp_path / "my_encoder.py").write_text(ENCODER)
    done = call(
        script,
        "run",
        str(REPOSITORY / "experiments" / "anyecg_chat.yaml"),
        "encoder=my_encoder:ConvEncoder",
        "--show",
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "my_encoder:ConvEncoder" in done.stdout and "width: 8" in done.stdout


def test_data_commands_take_their_arguments(script, tmp_path):
    done = call(script, "data", "simulate", "ptbxl", "set", "--patients", "1", folder=tmp_path)
    assert done.returncode == 0 and (tmp_path / "set" / "ptbxl_database.csv").exists(), done.stderr


def printed_and_loaded(*arguments):
    """(what a command prints, the modules that are loaded then), in a fresh process as on the command line."""
    code = (
        "import sys, json, contextlib, io\nfrom anyecg.__main__ import main\n"
        "with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.suppress(SystemExit):\n"
        f"    main({list(arguments)!r})\n"
        "print(json.dumps([text.getvalue(), sorted(sys.modules)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=300
    )
    text, modules = json.loads(done.stdout)
    return text, set(modules)


@pytest.mark.parametrize("name", [name for name, (_, first, _) in COMMANDS.items() if not first])
def test_help_imports_nothing_heavy(name):
    text, modules = printed_and_loaded(name, "--help")
    assert text.startswith("usage:") and not HEAVY & modules


def test_the_list_of_components_imports_nothing_heavy():
    """Each registered class's line is read from its source."""
    text, modules = printed_and_loaded("list")
    assert "  ptbxl " in text and not HEAVY & modules
