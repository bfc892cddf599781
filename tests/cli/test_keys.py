"""`anyecg keys`."""

from anyecg.__main__ import main


def test_keys_by_their_beginning_and_of_a_component(capsys):
    assert main(["keys", "stages.NAME.l"]) == 0
    shown = capsys.readouterr().out
    assert "stages.NAME.lr_scale" in shown and "peak learning rate" in shown and "warmup" not in shown
    assert main(["keys", "encoder", "vit"]) == 0
    assert "mask_absent" in capsys.readouterr().out


def test_what_is_not_there_is_an_error_that_says_what_is(capsys):
    assert main(["keys", "nothing"]) == 2 and "no key begins with 'nothing'" in capsys.readouterr().err
    assert main(["keys", "part", "vit"]) == 2 and "no kind of component is called 'part'" in capsys.readouterr().err
    assert main(["keys", "encoder", "vat"]) == 2 and "did you mean 'vit'?" in capsys.readouterr().err
