"""The fingerprint of the source that components compute with: what is followed, what changes it, and what does not."""

import importlib
import sys
import textwrap

import pytest

from anyecg.config.code import Code, changed
from anyecg.encoders.timm import TimmViT
from anyecg.encoders.vit import ViT

BODY = '''
"""Layers."""
from torch import nn

WIDTH = 4
UNUSED = 1

def layer(x):
    """Doubles."""
    return x * WIDTH  # as wide

def helper(x):
    return x
'''
MAIN = '''
"""An encoder."""
from torch import nn

from {other} import layer

class Conv(nn.Module):
    """Words."""

    def forward(self, clips: int, lead_mask) -> int:
        """More words."""
        if clips is None:
            raise ValueError(f"no clips: {{clips}}")
        return layer(clips)
'''


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A user's encoder file and the file beside it that it imports; the function writes one anew and gives the
    encoder's Code.
    """
    monkeypatch.syspath_prepend(str(tmp_path))
    number = [0]

    def write(main=MAIN, body=BODY):
        for name in ("my_encoder", "my_layers"):
            sys.modules.pop(name, None)
        number[0] += 1
        (tmp_path / "my_layers.py").write_text(textwrap.dedent(body) + f"\n# {number[0]}\n")
        (tmp_path / "my_encoder.py").write_text(textwrap.dedent(main.format(other="my_layers")))
        importlib.invalidate_caches()
        return Code([importlib.import_module("my_encoder").Conv])

    yield write
    for name in ("my_encoder", "my_layers"):
        sys.modules.pop(name, None)


def test_the_users_file_and_what_it_uses_of_those_beside_it_count(written):
    base = written()
    assert set(base.modules) == {"my_encoder", "my_layers"}
    for main, body, modules in [
        (MAIN.replace("layer(clips)", "layer(clips) + 1"), BODY, ["my_encoder"]),
        (MAIN, BODY.replace("x * WIDTH", "x + WIDTH"), ["my_layers"]),
        (MAIN, BODY.replace("WIDTH = 4", "WIDTH = 5"), ["my_layers"]),
        (MAIN.replace("class Conv(nn.Module)", "class Conv(nn.Identity)"), BODY, ["my_encoder"]),
    ]:
        other = written(main, body)
        assert other.fingerprint != base.fingerprint and changed(base.modules, other.modules) == modules


def test_words_and_what_is_not_used_do_not_count(written):
    base = written()
    for main, body in [
        (MAIN.replace("More words.", "Other words.").replace('"""Words."""', '"""Said otherwise."""'), BODY),
        (MAIN.replace("no clips:", "clips are missing:"), BODY),
        (MAIN.replace("clips: int, lead_mask) -> int", "clips: float, lead_mask) -> float"), BODY),
        (MAIN, BODY.replace("# as wide", "# twice as wide").replace("Doubles.", "Multiplies.")),
        (MAIN, BODY.replace("UNUSED = 1", "UNUSED = 2").replace("return x\n", "return -x\n")),
    ]:
        assert written(main, body).fingerprint == base.fingerprint


def test_our_own_modules_are_followed_by_what_is_named_there():
    vit, timm = Code([ViT]).modules, Code([TimmViT]).modules
    assert {
        "anyecg.encoders.vit",
        "anyecg.encoders.patches",
        "anyecg.encoders.stem",
        "anyecg.encoders.base",
    } <= vit.keys()
    assert "anyecg.encoders.vit" not in timm and not any(
        module.startswith(("anyecg.config", "anyecg.llms")) for module in vit
    )


def test_a_class_without_a_file_counts_by_its_name():
    made = type("Made", (), {"__module__": "nowhere"})
    assert Code([made]).modules == {"nowhere": "Made"}


def test_a_file_that_is_edited_is_read_again(written, tmp_path):
    base = written()
    path = tmp_path / "my_layers.py"
    path.write_text(path.read_text().replace("x * WIDTH", "x - WIDTH * 1"))
    assert Code([sys.modules["my_encoder"].Conv]).fingerprint != base.fingerprint
