"""The commands of tutorials and notebooks name files that are there and settings that go together."""

import re
import shlex
from pathlib import Path

import pytest

from anyecg import config
from anyecg.cli.suite.file import is_suite
from anyecg.cli.suite.file import load as load_suite
from anyecg.config.fingerprint import folder_name

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md"))


def lines(page):
    """The words of each command of a page's shell blocks."""
    for block in re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            yield shlex.split(line, comments=True)


def commands(page):
    """The arguments of each `anyecg.run` of a page's shell blocks."""
    for words in lines(page):
        if words[:3] == ["python", "-m", "anyecg.run"]:
            yield [word for word in words[3:] if not word.startswith("--")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_settings_of_a_tutorial_go_together(page, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tests" / "extending")  # the reader's own parts, as docs/extending.md has them
    found = list(commands(page))
    assert found or page.stem == "own_ecg"
    for path, *overrides in found:
        if is_suite(ROOT / path):
            assert load_suite(ROOT / path, overrides).members
        else:
            assert config.load(ROOT / path, overrides)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_runs_that_are_compared_or_exported_are_what_the_commands_leave(page):
    left = {"anyecg_chat"} | {folder_name(Path(path).stem, overrides) for path, *overrides in commands(page)}
    named = {word for words in lines(page) for word in words if word.startswith("runs/")}
    assert named <= {f"runs/{name}" for name in left}


@pytest.mark.parametrize("page", [*PAGES, *sorted((ROOT / "notebooks").glob("*.py"))], ids=lambda page: page.name)
def test_files_that_are_named_are_there(page):
    for path in re.findall(r"experiments/[\w/]+\.yaml", page.read_text()):
        assert (ROOT / path).exists(), path
