"""`python -m anyecg.data simulate`: what is refused, and in which words."""

import pytest

from anyecg.data.__main__ import main


@pytest.mark.parametrize(("arguments", "words"), [
    (["--seconds", "inf"], "'inf' is no length of a record; give 1 to 86,400 seconds"), (["--seconds", "0"], "'0' is no length"),
    (["--seconds=-4"], "'-4' is no length"), (["--seconds", "nan"], "'nan' is no length"), (["--seconds", "ten"], "'ten' is no length"),
    (["--seed=-1"], "'-1' is no whole number of at least 0"), (["--seed", "1.5"], "'1.5' is no whole number"), (["--workers=-1"], "'-1' is no whole number"),
    (["--patients", "0"], "'0' is no whole number of at least 1"),
])  # fmt: skip
def test_numbers_that_are_none(tmp_path, capsys, arguments, words):
    with pytest.raises(SystemExit) as end:
        main(["simulate", "mimic", str(tmp_path / "set"), *arguments])
    assert end.value.code == 2 and words in capsys.readouterr().err and not any(tmp_path.iterdir())


def test_a_file_in_the_folders_place(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    for root, words in (
        (tmp_path / "file" / "set", "cannot be made a folder"),
        (tmp_path / "file", "something that anyecg did not simulate"),
    ):
        assert main(["simulate", "mimic", str(root), "--patients", "1"]) == 2
        assert (
            f"{root} {'cannot' if 'cannot' in words else 'holds'}" in (told := capsys.readouterr().err)
            and words in told
        )
    assert (tmp_path / "file").read_text() == "mine"


def test_a_set_is_written(tmp_path, capsys):
    assert main(["simulate", "ptbxl", str(tmp_path / "set"), "--patients", "2", "--workers", "1"]) == 0
    assert "ptbxl: 2 patients in" in capsys.readouterr().out and (tmp_path / "set" / "ptbxl_database.csv").is_file()
