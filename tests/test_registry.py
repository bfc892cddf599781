"""The registry: three doors, one lookup, and messages that help."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from anyecg import registry as module
from anyecg.encoders import encoders
from anyecg.registry import Registry
from anyecg.types import ConfigError


def with_entry_points(monkeypatch, *points):
    made = [EntryPoint(name=name, value=value, group="anyecg.encoders") for name, value in points]
    monkeypatch.setattr(module, "_added", lambda path: {"anyecg.encoders": made})


def test_what_is_installed_is_read_once_and_anew_on_another_path(monkeypatch):
    calls = []
    point = EntryPoint(name="mine", value="collections:OrderedDict", group="anyecg.encoders")
    monkeypatch.setattr(module, "entry_points", lambda: calls.append(1) or [point])
    monkeypatch.syspath_prepend("/nowhere/at/all")
    registry = Registry("encoder", {"builtin": "collections:Counter"})
    assert [registry.target(name) for name in ("mine", "builtin", "mine")][0] == "collections:OrderedDict"
    assert len(calls) == 1
    monkeypatch.syspath_prepend("/nowhere/else")
    assert registry.target("mine") and len(calls) == 2


def test_every_door_leads_to_the_class(monkeypatch):
    from collections import Counter, OrderedDict

    with_entry_points(monkeypatch, ("mine", "collections:OrderedDict"))
    registry = Registry("encoder", {"builtin": "collections:Counter"})
    assert registry["builtin"] is Counter
    assert registry["mine"] is OrderedDict
    assert registry["collections:OrderedDict"] is OrderedDict


def test_a_typo_is_answered_with_the_nearest_name():
    with pytest.raises(ConfigError, match="did you mean 'timm'"):
        encoders["tim"]


def test_names_match_exactly():
    with pytest.raises(ConfigError):
        encoders["ViT"]


def test_two_claims_on_one_name_raise(monkeypatch):
    with_entry_points(monkeypatch, ("vit", "other:ViT"))
    with pytest.raises(ConfigError, match="two encoders are called 'vit'"):
        encoders["vit"]


def test_the_same_claim_twice_is_no_collision(monkeypatch):
    with_entry_points(monkeypatch, ("vit", encoders.builtin["vit"]))
    assert encoders["vit"].__name__ == "ViT"


def test_a_component_that_is_not_there_says_so():
    with pytest.raises(ConfigError, match="nowhere_at_all"):
        encoders["nowhere_at_all:Thing"]
    with pytest.raises(ConfigError, match="no class 'Thing'"):
        encoders["collections:Thing"]


def test_every_builtin_component_describes_itself():
    for line in encoders.describe().values():
        assert line and not line.startswith("(not available")


def test_components_are_described_without_being_imported():
    code = "import sys\nfrom anyecg.run import main\nmain(['--list'])\nprint(sorted({'torch', 'lightning', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert "  vit " in done.stdout and "(not available" not in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_what_the_source_does_not_say_is_imported():
    described = Registry("encoder", {"here": "tests.test_registry:Registry", "gone": "nowhere_at_all:Thing"}).describe()
    assert described["here"].startswith("The components of one kind") and described["gone"].startswith("(not available")
