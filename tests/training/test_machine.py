"""What a machine is warned of before anything is built."""

import logging

import pytest

from anyecg.config.schema import TrainerConfig
from anyecg.training import machine


@pytest.mark.parametrize(
    ("precision", "has", "told"), [("bf16-mixed", False, True), ("bf16-mixed", True, False), ("32-true", False, False)]
)
def test_a_cpu_without_bfloat16_is_told_before_the_run(precision, has, told, monkeypatch, caplog):
    monkeypatch.setattr(machine, "has_bfloat16", lambda: has)
    with caplog.at_level(logging.WARNING, logger="anyecg.training.machine"):
        machine.check_machine(TrainerConfig(precision=precision, accelerator="cpu"))
    assert ("write 32-true" in caplog.text) == told


def test_the_cpu_answers_for_itself():
    assert machine.has_bfloat16() in (True, False)


def test_a_busy_machine_is_told_and_an_idle_one_is_not(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr("os.getloadavg", lambda: (2.1, 0, 0))
    assert "load 2.1 on 2 core(s)" in machine.busy() and "OMP_NUM_THREADS=1" in machine.busy()
    monkeypatch.setattr("os.getloadavg", lambda: (0.4, 9, 9))
    assert machine.busy() is None
