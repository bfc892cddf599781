"""What a bar says of its rate."""

from types import SimpleNamespace

import pytest

from anyecg.progress_bar import Rate, progress_bar


@pytest.mark.parametrize(
    ("completed", "finished", "speed", "told"),
    [(300, 19.0, 43_839.0, "16/s"), (4, 19.0, None, "0.2/s"), (5, None, 1234.0, "1,234/s"), (0, None, None, "")],
)
def test_a_rate_is_the_mean_once_a_task_has_ended(completed, finished, speed, told):
    task = SimpleNamespace(completed=completed, finished_time=finished, speed=speed)
    assert Rate().render(task).plain == told


def test_bars_go_to_stderr(capsys):
    with progress_bar() as bar:
        bar.advance(bar.add_task("work", total=1))
    out, err = capsys.readouterr()
    assert not out and "work" in err
