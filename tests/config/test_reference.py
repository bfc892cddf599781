"""The reference of keys: every key of the experiment and of every registered component has a meaning."""

from dataclasses import dataclass, field

import pytest

from anyecg.config.reference import Key, component_keys, experiment_keys, reference
from anyecg.registry import KINDS, registry

COMPONENTS = [(kind, name) for kind in KINDS for name in sorted(registry(kind).table())]


def test_every_key_of_the_experiment_has_a_meaning():
    keys = experiment_keys()
    assert {"seed", "evaluation.judge.url", "stages.NAME.validate.every", "input.max_ecgs"} <= {k.path for k in keys}
    assert not [key.path for key in keys if not key.meaning]


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_every_setting_of_a_component_has_a_meaning(kind, name):
    assert not [key.path for key in component_keys(kind, name) if not key.meaning]


def test_the_page_has_every_component():
    page = reference()
    assert all(f"### {kind}: {name}\n" in page for kind, name in COMPONENTS)
    assert "| `stages.NAME.lr` | `float` | `0.0001` | peak learning rate of AdamW |" in page


class Outside:
    """A component of a user's."""

    @dataclass(frozen=True)
    class Base:
        """width: of a layer; name, label: of the output, two."""

        width: int = 3
        name: str = "a # b"
        label: str = "c"

    @dataclass(frozen=True)
    class Config(Base):
        rate: float = 0.5  # a second
        # on the line
        # above
        sizes: list[int] = field(default_factory=lambda: [1, 2])
        silent: bool | None = None


def test_meanings_come_from_comments_and_from_docstrings_of_bases_too():
    assert component_keys("encoder", f"{__name__}:Outside") == [
        Key("width", "int", "3", "of a layer"),
        Key("name", "str", "a # b", "of the output, two"),
        Key("label", "str", "c", "of the output, two"),
        Key("rate", "float", "0.5", "a second"),
        Key("sizes", "list[int]", "[1, 2]", "on the line above"),
        Key("silent", "bool | None", "null", ""),
    ]
