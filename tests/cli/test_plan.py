"""`python -m anyecg.run … --plan`: what it prints, that it writes nothing, and what it says of bad options."""

import re
import sys

import pytest

from anyecg.run import main
from anyecg.training.engines.deepspeed import DeepSpeed

EXPERIMENT = "experiments/anyecg_chat.yaml"


@pytest.fixture
def without_deepspeed(monkeypatch):
    """Its import takes seconds."""
    monkeypatch.setitem(sys.modules, "deepspeed.runtime.zero.stage3", None)


def test_the_paper_is_planned_without_weights_data_or_network(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        DeepSpeed,
        "estimates",
        lambda: {"ZeRO-2": lambda trained, frozen, largest, gpus: 2 * frozen + 18 * trained / gpus},
    )
    monkeypatch.setattr("huggingface_hub.file_download.hf_hub_download", lambda *_, **__: pytest.fail("asked the hub"))
    assert (
        main(
            [
                EXPERIMENT,
                "scale=paper",
                "--plan",
                "--mfu",
                "0.5",
                "--peak",
                "1e15",
                f"cache={tmp_path / 'cache'}",
                f"output={tmp_path}",
            ]
        )
        == 0
    )
    printed = capsys.readouterr().out
    for words in (
        "encoder 85.2 M",
        "85.6 M with it",
        "heads 1.2 M",
        "connector 19.9 M",
        "llm 3.4 M",
        "28,855 x 64",
        "ZeRO-2",
        "ddp",
        "fsdp",
        "64 GPUs",
        "MFU of 0.5 of 1e+15",
        "not built",
        "assumed for report",
    ):
        assert words in printed, words
    assert not list(tmp_path.iterdir())
    row = next(line for line in printed.splitlines() if re.match(r"│ all ", line))
    hours = [float(value) for value in re.findall(r"[\d.]+", row)]
    assert len(hours) == 7 and hours == sorted(hours, reverse=True)


def test_any_llm_of_the_cpu_scale_is_planned(tmp_path, capsys, without_deepspeed):
    assert main([EXPERIMENT, "--plan", f"cache={tmp_path}"]) == 0
    printed = capsys.readouterr().out
    assert "language" in printed and "pip install 'anyecg[deepspeed]'" in printed
    assert "–" in printed  # 16 samples do not go to 32 GPUs


@pytest.mark.parametrize(("options", "words"), [(("--mfu", "40"), "--mfu 40"), (("--peak", "0"), "--peak 0")])
def test_options_that_cannot_be_meant(options, words, capsys):
    assert main([EXPERIMENT, "--plan", *options]) == 2
    assert words in capsys.readouterr().err


def test_a_missing_dataset_is_no_obstacle(tmp_path, capsys, without_deepspeed):
    assert main([EXPERIMENT, "--plan", f"dataset={tmp_path / 'nowhere'}", f"cache={tmp_path}"]) == 0
    assert "nowhere" in capsys.readouterr().out
