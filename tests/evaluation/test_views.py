"""Views: what each changes in a question, what it leaves alone, and what is measured in it."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from anyecg import config
from anyecg.answerers.base import Answerer
from anyecg.config.schema import InputConfig
from anyecg.data.loading.dataset import QuestionDataset
from anyecg.evaluation import tables
from anyecg.evaluation.bars import controls_figure
from anyecg.evaluation.bootstrap import detectable, smallest
from anyecg.evaluation.evaluate import evaluate
from anyecg.evaluation.views import views
from anyecg.evaluation.views.base import Setup, View
from anyecg.evaluation.views.named_leads import leads_meant, named_leads
from anyecg.evaluation.views.paraphrase import Paraphrase
from anyecg.evaluation.views.text_only import without_ecgs
from anyecg.tasks.localization.shift import followed
from anyecg.tasks.localization.task import Localization
from anyecg.tasks.report.task import Report
from anyecg.types import CANONICAL_LEADS, MARKER, ECGSample, Prediction, Turn, Window
from tests.conftest import Answering

RECIPE = "experiments/anyecg_chat.yaml"


def question(i, text="Where is the PVC?", answer="No PVC Found", leads=None, **more):
    return ECGSample(
        id=f"q{i}", task="localization", patient=f"p{i % 25}", subset="mit", records=(Window(f"c/r{i}", 0.0, 10.0),),
        conversation=(Turn("user", f"{MARKER}\n{text}"), Turn("assistant", answer)), evidence=("0.4s N",),
        meta={"name": "PVC", "symbol": "V", "seconds": 10.0, "intervals": []} | more,
    )  # fmt: skip


def setup(masks=None, **more):
    """A setup whose stores know which leads each record has."""
    return Setup(Localization(), stores=SimpleNamespace(leads=lambda record: (masks or {})[record].copy()), **more)


def of(task, data):
    return [data.questions[int(row)] for row in data.questions.select(split="test", task=task)]


@pytest.mark.parametrize("name", sorted(views.table()))
def test_every_view_keeps_the_contract(name, small_data):
    kind = views[name]
    assert issubclass(kind, View) and kind.label and kind.colour.startswith("#") and kind.shows in (
        "signal", "blank", "evidence")  # fmt: skip
    view = kind(kind.Config())
    stores = small_data.stores
    for task in (Localization(), Report()):
        if not view.asked(task):
            continue
        samples = of(task.name, small_data)[:40]
        before = json.dumps([str(sample) for sample in samples])
        put = view.put(samples, Setup(task, stores, seconds=stores.seconds))
        assert json.dumps([str(sample) for sample in samples]) == before
        assert put.keys() <= {sample.id for sample in samples} and [*put] == [s.id for s in samples if s.id in put]
        assert put == kind().put(samples, Setup(task, stores, seconds=stores.seconds))
        shown = list(put.values())
        for sample in samples[:3]:
            assert sample.id not in put or task.agrees(view.truth(sample, put[sample.id]))
        dataset = QuestionDataset(shown, range(len(shown)), stores, InputConfig(), name)
        for place in range(min(2, len(shown))):
            item, again = dataset[place], dataset[place]
            signal = QuestionDataset(shown, range(len(shown)), stores, InputConfig())[place]
            assert len(item.clips) == (0 if view.shows == "evidence" else len(shown[place].records))
            for one, other, as_is in zip(item.clips, again.clips, signal.clips):
                assert one.shape == as_is.shape and one.dtype == np.float32 and np.isfinite(one).all()
                np.testing.assert_array_equal(one, other)


def test_text_only_leaves_no_trace_of_an_ecg():
    sample = without_ecgs(question(0))
    assert (sample.records, sample.evidence) == ((), ()) and sample.conversation[0].text == "Where is the PVC?"
    several = ECGSample("m", "multi_ecg", (Window("a"), Window("b")),
                        (Turn("user", f"ECG 1: {MARKER}\nECG 2: {MARKER}\nWhat changes?"), Turn("assistant", "Nothing.")))  # fmt: skip
    assert MARKER not in without_ecgs(several).conversation[0].text and without_ecgs(several).answer == "Nothing."


def test_noise_and_flat_line_have_the_leads_and_the_power_of_the_record():
    rng = np.random.default_rng(0)
    signal = rng.normal(0.2, 1.5, (12, 5000)).astype(np.float32)
    mask = np.arange(12) < 9
    signal[~mask] = 0.0
    power = np.square(signal).mean(axis=1)
    for name, tolerance in (("noise", 0.1), ("flat_line", 1e-4)):
        seen, there = views[name]().see(signal.copy(), mask.copy(), question(0), 0, seed=0)
        assert (there == mask).all() and (seen[~mask] == 0).all() and seen.shape == signal.shape
        np.testing.assert_allclose(np.square(seen).mean(axis=1), power, rtol=tolerance)
        assert name == "flat_line" or abs(np.corrcoef(seen[0], signal[0])[0, 1]) < 0.1
    noise = views["noise"]()
    drawn = [noise.see(signal.copy(), mask, question(i), 0, seed)[0] for i, seed in ((0, 0), (0, 0), (1, 0), (0, 1))]
    assert (drawn[0] == drawn[1]).all() and (drawn[0] != drawn[2]).any() and (drawn[0] != drawn[3]).any()
    assert views["flat_line"]().see(signal, mask, question(0), 0, 0)[0].std(axis=1).max() < 1e-6


@pytest.mark.parametrize(
    ("text", "leads"),
    [
        ("Is there ST elevation in lead V2?", "V2"),
        ("T inversion in V1-V3 and aVL", "V1 V2 V3 aVL"),
        ("ST depression, leads II, III and aVF", "II III aVF"),
        ("inferior infarct", "II III aVF"),
        ("anterolateral ischemia", "V1 V2 V3 V4 I aVL V5 V6"),
        ("I need to find the PVC; where should I look?", ""),
        ("does lead I show it", "I"),
        ("V", ""),
        ("limb leads", "I II III aVR aVL aVF"),
    ],
)
def test_leads_are_found_by_name_and_by_region(text, leads):
    assert named_leads(text) == frozenset(leads.split())


def test_the_leads_that_a_question_is_about_are_withheld_against_as_many_others():
    samples = [question(0, "Is there ST elevation in lead V2?"), question(1, answer="Report: inferior infarct"), question(2),
               question(3, "T inversion in V1-V6?")]  # fmt: skip
    masks = {f"c/r{i}": np.ones(12, bool) for i in range(3)} | {"c/r3": np.arange(12) > 5}
    put = views["named_leads_masked"]().put(samples, setup(masks))
    assert [*put] == ["q0", "q1"]  # the third names none, of the fourth's ECG nothing else would be left
    signal, mask = np.ones((12, 10), np.float32), np.ones(12, bool)
    named, other = (
        views[f"{name}_leads_masked"]().see(signal.copy(), mask.copy(), samples[1], 0, 0) for name in ("named", "other")
    )
    assert [CANONICAL_LEADS[k] for k in np.flatnonzero(~named[1])] == ["II", "III", "aVF"]
    assert (~other[1]).sum() == 3 and not set(np.flatnonzero(~other[1])) & set(leads_meant(samples[1]))
    assert (other[0][~other[1]] == 0).all() and views["named_leads_masked"].against == "other_leads_masked"


def test_limb_and_chest_leads_are_withheld_where_an_ecg_has_both():
    masks = {"c/r0": np.ones(12, bool), "c/r1": np.arange(12) < 2}
    put = views["chest_leads_masked"]().put([question(0), question(1)], setup(masks))
    assert [*put] == ["q0"]
    _, mask = views["limb_leads_masked"]().see(np.ones((12, 5)), np.ones(12, bool), question(0), 0, 0)
    assert mask.tolist() == [False] * 6 + [True] * 6


def test_a_paraphrase_asks_the_same_in_other_words(small_data):
    samples = of("localization", small_data)[:20]
    put = Paraphrase().put(samples, Setup(Localization()))
    assert len(put) == 20
    for sample in samples:
        assert put[sample.id].conversation[0] != sample.conversation[0]
        assert (
            put[sample.id].conversation[0].text.startswith(MARKER)
            and sample.meta["name"] in put[sample.id].conversation[0].text
        )
        assert put[sample.id].conversation[1:] == sample.conversation[1:]
    assert not Paraphrase().put(samples, Setup(type("Fixed", (Localization,), {"wordings": lambda *_: ()})()))


def test_an_answer_that_moves_with_the_window_is_told_from_one_that_stays():
    true = np.array([[3.0, 4.0], [6.0, 7.0]])
    assert followed(true, true - 2.0, (0.0, 2.0), 10.0)[0] == pytest.approx(1)
    assert followed(true, true, (0.0, 2.0), 10.0)[1] == 1 and followed(true, true, (0.0, 2.0), 10.0)[0] < 0.5
    assert np.isnan(followed(true[:0], true[:0], (0.0, 2.0), 10.0)).all()
    assert followed(None, true, (0.0, 2.0), 10.0) == (0.0, 0.0)
    early = np.array([[0.0, 1.5]])  # lies before the second window
    assert np.isnan(followed(early, true[:0], (0.0, 2.0), 10.0)).all()


def test_a_moved_window_has_the_truth_of_the_moved_window(small_data):
    samples = of("localization", small_data)
    put = views["time_shift"]().put(samples, Setup(Localization(), small_data.stores))
    assert len(put) > len(samples) / 3
    for sample in samples:
        if sample.id not in put:
            continue
        shown, window = put[sample.id], sample.records[0]
        by = shown.records[0].start - window.start
        assert abs(by) == pytest.approx(2.0) and shown.records[0].end - shown.records[0].start == pytest.approx(
            sample.meta["seconds"]
        )
        assert Localization().agrees(shown) and bool(shown.meta["intervals"]) == bool(sample.meta["intervals"])
        said, then = (np.array(one.meta["intervals"], float).reshape(-1, 2) for one in (sample, shown))
        moved, _ = followed(said, then, (window.start, shown.records[0].start), float(sample.meta["seconds"]))
        assert np.isnan(moved) or moved > 0.8  # but for what the windows' edges cut and the decimals round


def test_a_view_of_some_questions_is_compared_with_the_ecg_on_these(tmp_path):
    """An answerer that is right where a lead is named, unless this lead is withheld, and wrong elsewhere."""
    samples = [
        question(i, "PVC in lead V1?" if i % 2 else "PVC?", *(["Duration: 1.0s-2.0s"] if i % 4 > 1 else []),
                 intervals=[[1.0, 2.0]] if i % 4 > 1 else [])
        for i in range(100)
    ]  # fmt: skip

    def answer(samples, view):
        wrong = "Duration: 5.0s-6.0s"
        return (
            Prediction(s.id, s.answer if int(s.id[1:]) % 2 and view != "named_leads_masked" else wrong) for s in samples
        )

    masks = {f"c/r{i}": np.ones(12, bool) for i in range(100)}
    metrics = evaluate(
        Answering(answer), {"localization": samples}, {"localization": Localization()}, tmp_path,
        views=["signal", "named_leads_masked", "other_leads_masked"], stores=setup(masks).stores, bootstrap=50, progress=False,
    )  # fmt: skip
    task = metrics["tasks"]["localization"]
    found = task["views"]["named_leads_masked"]
    assert (found["n"], task["n"]) == (50, 100) and found["signal"]["iou_balanced"] == 1
    assert task["views"]["signal"]["metrics"]["iou_balanced"] == 0.5 and found["metrics"]["iou_balanced"] == 0
    assert task["differences"]["named_leads_masked"]["iou_balanced"] == [1, 1, 1]
    assert found["against"] == {"view": "other_leads_masked", "difference": [1, 1, 1]}
    assert found["unchanged"] == 0 and found["measures"]["unchanged"] == [0, 0, 0] and found["blocks"] == {}
    text = tables.table(metrics)
    assert "| the leads it is about masked |" in text and "| detectable | unchanged |" in text
    assert "as many other leads masked − this" in text and "the answers with the ECG have 1.000" in text


def test_questions_without_an_ecg_are_put_to_who_reads_text_only(tmp_path):
    asked = []

    class Reader(Answerer):
        key = "r"

        def answer(self, samples, view, answered=()):
            asked.append(view)
            return (Prediction(s.id, "No PVC Found") for s in samples)

    class TextReader(Reader):
        key, reads_text = "t", True

    samples = {"localization": [question(i) for i in range(4)]}
    for one in (Reader(), TextReader()):
        evaluate(one, samples, {"localization": Localization()}, tmp_path / one.key, views=["signal", "text_only"],
                 bootstrap=0, progress=False)  # fmt: skip
    assert asked == ["signal", "signal", "text_only"]


def test_power_is_that_of_the_paired_bootstrap():
    rng = np.random.default_rng(0)
    import pandas as pd

    drawn = pd.DataFrame({"m": rng.normal(0.5, 0.1, 4000)}), pd.DataFrame({"m": rng.normal(0.4, 0.1, 4000)})
    assert detectable(*drawn)["m"] == pytest.approx(2.8016 * 0.1 * 2**0.5, rel=0.05)
    assert smallest(1.0) == pytest.approx(1.959964 + 0.841621, abs=1e-5)


def test_strict_stands_for_every_view_that_is_meant_for_it():
    given = config.load(RECIPE, ["evaluation.views=[strict,my_view:Mine]"]).evaluation.views
    assert given[0] == "signal" and given[-1] == "my_view:Mine"
    assert set(given[:-1]) == {name for name in views.table() if views[name].strict}
    assert {"blind", "shuffled", "text_only", "noise", "flat_line", "time_shift", "paraphrase"} < set(given)
    assert "text" not in given
    assert replace(config.load(RECIPE).evaluation).views == [
        "signal",
        "blind",
        "shuffled",
    ]  # what a run does by default


def test_many_views_are_drawn_as_rows_and_few_as_upright_bars(tmp_path):
    def panel(names):
        found = {name: {"metrics": {"m": 0.5}, "intervals": {"m": [0.4, 0.6]}, "unchanged": 0.25} for name in names}
        return {"primary": "m", "n": 30, "views": found}

    every, some = panel(views.table()), panel(["blind", "signal"])
    sizes = []
    for name, panels in (("few", {"a": some}), ("many", {"a": every, "b": some}), ("one", {"a": every})):
        png, pdf = controls_figure({"tasks": panels}, tmp_path / name)
        assert pdf.stat().st_size > 1000
        sizes.append(plt_size(png))
    assert sizes[1][0] < 2000 and sizes[1][1] > sizes[0][1] and sizes[2][0] < sizes[1][0]


def plt_size(path):
    from matplotlib.image import imread

    return imread(path).shape[1::-1]


def test_meits_noise_is_one_stretch_the_same_in_all_leads():
    rng = np.random.default_rng(0)
    signal = rng.normal(0.2, 0.5, (12, 5000)).astype(np.float32)
    mask = np.arange(12) < 9
    signal[~mask] = 0.0
    shares, deviations = [], []
    for i in range(60):
        seen, there = views["noisy_time_20"]().see(signal.copy(), mask.copy(), question(i), 0, seed=0)
        added = seen - signal
        assert (there == mask).all() and not added[~mask].any()
        np.testing.assert_allclose(added[:9], np.repeat(added[:1], 9, axis=0), atol=1e-5)
        places = np.flatnonzero(np.abs(added[0]) > 1e-6)
        shares.append((places[-1] - places[0] + 1) / 5000 if len(places) else 0.0)
        deviations.append(added[0, places].std() / np.ptp(signal[mask]) if len(places) > 50 else 0.0)
    assert 0.15 < max(shares) <= 0.2 and min(shares) < 0.03 and 0.05 < max(deviations) < 0.11


@pytest.mark.parametrize("level", [20, 10, 5, 0])
def test_a_ratio_is_the_one_that_it_says(level):
    signal = np.random.default_rng(0).normal(0.2, 0.5, (12, 5000)).astype(np.float32) * np.arange(12)[:, None]
    seen, _ = views[f"noisy_{level}_db"]().see(signal.copy(), np.ones(12, bool), question(0), 0, seed=0)
    added = seen - signal
    assert not added[0].any()  # a flat lead
    decibels = 10 * np.log10(signal[1:].var(axis=1) / np.square(added[1:]).mean(axis=1))
    np.testing.assert_allclose(decibels, level, atol=0.05)
    assert abs(np.corrcoef(added[1], added[2])[0, 1]) < 0.1


def test_robust_and_not_looking_are_told_apart(tmp_path):
    """One answerer that reads until there is too much noise; another that says the same whatever it is shown."""
    from anyecg.evaluation.bars import run_figures

    names = [name for level in (20, 10, 5, 0) for name in (f"noisy_{level}_db", f"noisy_{level}_db_shuffled")]
    samples = [question(i, "PVC?", *(["Duration: 1.0s-2.0s"] if i % 2 else []),
                        intervals=[[1.0, 2.0]] if i % 2 else []) for i in range(100)]  # fmt: skip

    def reader(samples, view):
        readable = view in ("signal", "noisy_20_db", "noisy_10_db")
        return (Prediction(s.id, s.answer if readable else "Duration: 5.0s-6.0s") for s in samples)

    def blind(samples, view):
        return (Prediction(s.id, "No PVC Found") for s in samples)

    found = {}
    for name, answer in (("reader", reader), ("blind", blind)):
        metrics = evaluate(
            Answering(answer), {"localization": samples}, {"localization": Localization()}, tmp_path / name,
            views=["signal", "blind", "shuffled", *names], bootstrap=50, progress=False, seconds=lambda window: 10.0,
        )  # fmt: skip
        task = metrics["tasks"]["localization"]
        found[name] = [task["views"][view].get("against", {}).get("difference", [None])[0] for view in names[::2]]
        drawn = [path.name for path in run_figures(json.loads(json.dumps(metrics)), tmp_path / name / "figures")]
        assert "localization_signal-to-noise_ratio.png" in drawn
    assert found == {"reader": [-1, -1, 0, 0], "blind": [0, 0, 0, 0]}  # another patient's ECG minus the question's own
    text = tables.table(metrics)
    assert "signal-to-noise ratio of 5 dB, another patient's ECG − this" in text
