"""`python -m anyecg.data findings`: a picture of what the simulator draws."""

from matplotlib.image import imread

from anyecg.data.__main__ import main


def test_one_finding_is_drawn(tmp_path, capsys):
    out = tmp_path / "new" / "afib.png"
    assert main(["findings", str(out), "--finding", "atrial_fibrillation"]) == 0
    assert imread(out).std() > 0.05 and [path.name for path in out.parent.iterdir()] == ["afib.png"]


def test_a_name_that_is_no_picture_is_refused(tmp_path, capsys):
    assert main(["findings", str(tmp_path / "afib.txt")]) == 2
    assert "ends in .png or .pdf" in capsys.readouterr().err
