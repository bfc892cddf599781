"""`anyecg ask`: a question at the terminal, the answer, and a picture of what it points at."""

import pytest

from anyecg.cli.ask import main
from anyecg.session import Reading
from tests.conftest import make_model
from tests.data.own.own_files import write_wfdb


@pytest.fixture
def asked(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("anyecg.checkpoints.load.open_model", lambda folder, llm: (make_model().eval(), Reading()))
    monkeypatch.chdir(tmp_path)
    path, model = write_wfdb(tmp_path), tmp_path / "model"
    model.mkdir()

    def ask(*arguments):
        status = main([str(model), *map(str, arguments)])
        return status, capsys.readouterr()

    return ask, path, tmp_path


def test_it_answers_and_draws(asked):
    ask, path, folder = asked
    status, out = ask(path, path, "What is this?", "--max-new-tokens", "6", "--to", "out.png", "--check")
    assert status == 0 and (folder / "out.png").stat().st_size > 10_000
    assert "For research only" in out.err and "out.png: the trace" in out.err and "the ECG" in out.err


def test_no_picture(asked):
    ask, path, folder = asked
    assert ask(path, "What?", "--max-new-tokens", "2", "--no-picture")[0] == 0
    assert not [*folder.glob("*.png")]


def test_what_cannot_be_read_is_told(asked):
    ask, path, folder = asked
    status, out = ask(folder / "none.edf", "What?")
    assert status == 2 and "none.edf" in out.err
    (folder / "a.png").write_bytes(b"")
    assert "is a picture" in ask(folder / "a.png", "What?")[1].err
    assert "ask something" in ask(path, "", "--max-new-tokens", "2")[1].err
