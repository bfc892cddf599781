"""A page of examples: what is drawn, that it says what the dataset says, and how it is asked for."""

import math
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from anyecg.cli.data.show import COLUMN, LONGEST, TEXT, examples, page, wrapped
from anyecg.config.schema import Slot
from anyecg.data.__main__ import main
from anyecg.data.dataset.built import open_dataset
from anyecg.tasks.dataset import build_dataset
from anyecg.types import MARKER, ECGSample, Turn, Window
from tests.building import tasks

SOURCES = {"mimic": {"patients": 25}, "mit_bih_arrhythmia": {"patients": 8, "seconds": 90.0}}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("show") / "dataset"
    build_dataset(
        {name: Slot.of("corpus", name, **of) for name, of in SOURCES.items()},
        tasks(localization={"windows_per_record": 3}),
        folder,
        progress=False,
    )
    return folder


@pytest.fixture(scope="module")
def data(dataset):
    return open_dataset(dataset)


def words(figure):
    """Everything that is written on a page, as one text."""
    return " ".join(
        " ".join(
            [*(text.get_text() for text in figure.texts), *(t.get_text() for axes in figure.axes for t in axes.texts)]
        ).split()
    )


def test_the_page_and_the_text_show_every_question_with_its_answer(dataset, data, tmp_path, capsys):
    out = tmp_path / "new" / "page.png"
    assert main(["show", str(dataset), "--out", str(out), "--n", "8"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    samples = examples(data.questions, "test", None, 8, 0)
    drawn = words(page(samples, data.stores, "heading", {}))
    for sample in samples:
        question = " ".join(sample.conversation[0].text.split(MARKER)[-1].split())
        assert question in told and sample.answer in told
        assert question in drawn and sample.answer in drawn
    assert f"8 examples drawn in {out}" in told and "heading" in drawn
    picture = imread(out)
    assert picture.shape[1] > 2000 and picture.std() > 0.02 and not list(out.parent.glob("*.part"))


def test_a_seed_draws_the_same_page_again_and_another_draws_another(dataset, tmp_path):
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert main(["show", str(dataset), "--seed", seed, "--n", "2", "--out", str(tmp_path / f"{name}.png")]) == 0
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c


def test_examples_are_taken_from_each_pool_in_turn_both_kinds_of_localization(data):
    pools = set(data.questions.column("pool")[data.questions.select(split="train")])
    drawn = examples(data.questions, "train", None, 2 * len(pools), 0)
    assert [sample.pool for sample in drawn].count("localization_long") == 2 and {
        sample.pool for sample in drawn
    } == pools
    assert len({sample.id for sample in drawn}) == len(drawn)
    found = [bool(sample.meta["intervals"]) for sample in examples(data.questions, "train", "localization", 8, 0)]
    assert sum(found) == 4


def test_fewer_questions_than_asked_for_are_all_drawn(data):
    rows = data.questions.select(split="test", task="multi_ecg")
    assert len(examples(data.questions, "test", "multi_ecg", 100, 0)) == min(100, len(rows))


def test_ecgs_are_drawn_each_in_its_form(data):
    for sample in examples(data.questions, "train", None, 40, 0):
        names = [[text.get_text() for text in axes.texts] for axes in page([sample], data.stores, "", {}).axes]
        assert len(names) == len(sample.records)
        for shown in names:
            leads = [
                name
                for name in shown
                if name.split(" ")[0] in ("II", "V1", "aVR", "V4", "V5", "V2", "III", "I", "aVF", "aVL", "V3", "V6")
            ]
            lines = math.ceil(sample.meta["seconds"] / 20 - 0.05) if sample.pool == "localization_long" else 1
            assert len(leads) == (2 * lines if sample.task == "localization" else 13)


def test_what_is_shaded_is_what_the_answer_says(data):
    seen = 0
    for sample in examples(data.questions, "train", "localization", 30, 0):
        (axes,) = page([sample], data.stores, "", {}).axes
        speed = 25 if sample.meta["seconds"] <= 10.5 else 12.5
        assert sum(patch.get_width() for patch in axes.patches) / speed == pytest.approx(
            sum(end - start for start, end in sample.meta["intervals"])
        )
        if sample.pool == "localization_short" and sample.meta["intervals"]:
            said = [[float(number) for number in pair] for pair in re.findall(r"([\d.]+)s-([\d.]+)s", sample.answer)]
            assert [
                [(p.get_x() - 10) / 25, (p.get_x() + p.get_width() - 10) / 25] for p in axes.patches
            ] == pytest.approx(np.array(said))
            seen += 1
    assert seen > 3


def test_beats_stand_where_they_were_annotated_and_those_asked_for_stand_out(data):
    sample = next(
        s
        for s in examples(data.questions, "train", "localization", 30, 0)
        if s.pool == "localization_short" and s.meta["intervals"]
    )
    (axes,) = page([sample], data.stores, "", {}).axes
    window, row = sample.records[0], data.stores.records.loc[sample.records[0].record]
    beats = [
        (t - window.start, s)
        for t, s in zip(row["annotation_times"], row["annotation_symbols"])
        if window.start <= t < window.end
    ]
    top = max(text.get_position()[1] for text in axes.texts)
    marked = [text for text in axes.texts if text.get_position()[1] == top]
    assert [text.get_text() for text in marked] == [symbol for _, symbol in beats]
    assert [(text.get_position()[0] - 10) / 25 for text in marked] == pytest.approx([time for time, _ in beats])
    assert [text.get_weight() == "bold" for text in marked] == [symbol == sample.meta["symbol"] for _, symbol in beats]


def test_a_very_long_ecg_is_drawn_as_far_as_a_page_goes_and_odd_text_as_it_is(data):
    record = data.stores.records.query("seconds > 80").index[0]
    sample = ECGSample(
        "q",
        "report",
        (Window(record),),
        (Turn("user", f"{MARKER} costs $5 or $x^{{$?"), Turn("assistant", "Report: 50 % \\alpha $")),
    )
    figure = page([sample], data.stores, "", {})
    figure.canvas.draw()
    (axes,) = figure.axes
    assert max(int(text.get_text()) for text in axes.texts if text.get_text().isdigit()) == LONGEST
    assert "costs $5 or $x^{$?" in words(figure)


def test_lines_of_text_fit_their_column():
    text = ("WWWW " * 100 + "iiii " * 100).strip()
    lines = wrapped(text, "bold")
    assert " ".join(lines) == text and len({len(line) for line in lines}) > 2
    figure = Figure(figsize=(COLUMN / 25.4, 1))
    extents = [
        figure.text(0, 0, line, fontsize=TEXT, weight="bold").get_window_extent().width / figure.bbox.width
        for line in lines
    ]
    assert 0.9 < max(extents) < 1.01


@pytest.mark.parametrize("more, said", [
    (["--task", "localisation"], "there: localization, multi_ecg, report"), (["--n", "0"], "--n 0"), (["--out", "page.jpg"], "page.jpg"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_told(dataset, more, said, capsys):
    assert main(["show", str(dataset), *more]) == 2
    assert said in capsys.readouterr().err


def test_a_picture_that_cannot_be_written_is_told(dataset, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["show", str(dataset), "--n", "1", "--out", str(tmp_path / "file" / "page.png")]) == 2
    assert "page.png cannot be written" in capsys.readouterr().err


def test_a_folder_without_a_dataset_is_told(tmp_path, capsys):
    assert main(["show", str(tmp_path)]) == 2
    assert "is no finished dataset" in capsys.readouterr().err
