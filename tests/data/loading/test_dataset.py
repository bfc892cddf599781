"""Questions with their clips: views, limits, and the batches of a stage."""

import numpy as np
import pytest

from anyecg import config
from anyecg.config.schema import InputConfig, StageConfig
from anyecg.data.clips import clips
from anyecg.data.loading.collate import Collator
from anyecg.data.loading.dataset import QuestionDataset, limited
from anyecg.data.loading.loader import StageData
from anyecg.types import MARKER, ConfigError, InputSpec
from tests.conftest import make_item, make_model


def dataset(data, pool, view="signal", **limits):
    return QuestionDataset(data.questions, data.questions.select(pool=pool), data.stores, InputConfig(**limits), view)


def test_clips_are_the_stored_windows(small_data):
    items = dataset(small_data, "localization_long")
    for index in range(5):
        item = items[index]
        signal, mask = small_data.stores.read(item.sample.records[0])
        assert np.array_equal(item.clips[0], clips(InputSpec()).make(signal, mask)) and np.array_equal(
            item.lead_masks[0], mask
        )
        assert items.clip_counts(item.sample) == [len(clips) for clips in item.clips]


def test_several_ecgs_are_several_records(small_data):
    item = dataset(small_data, "multi_ecg")[0]
    assert len(item.clips) == len(item.sample.records) == len(item.lead_masks) >= 2
    assert not np.array_equal(item.clips[0], item.clips[1])


def test_blind_has_the_same_places_and_no_signal(small_data):
    seen, blind = dataset(small_data, "multi_ecg")[1], dataset(small_data, "multi_ecg", "blind")[1]
    assert [clips.shape for clips in seen.clips] == [clips.shape for clips in blind.clips]
    assert not any(clips.any() for clips in blind.clips) and not any(mask.any() for mask in blind.lead_masks)
    assert seen.sample == blind.sample


def test_the_text_view_reads_no_signal(small_data):
    item = dataset(small_data, "multi_ecg", "text")[0]
    assert item.clips == () and len(item.sample.evidence) == len(item.sample.records)


@pytest.mark.parametrize("pool", ["localization_short", "report"])
@pytest.mark.parametrize(("view", "place"), [("first_lead_masked", 0), ("second_lead_masked", 1)])
def test_one_lead_is_withheld_and_the_others_are_as_recorded(small_data, view, place, pool):
    seen, masked = dataset(small_data, pool)[0], dataset(small_data, pool, view)[0]
    leads = np.flatnonzero(seen.lead_masks[0])
    kept = np.delete(leads, place)
    assert len(leads) > 1 and np.flatnonzero(masked.lead_masks[0]).tolist() == kept.tolist()
    assert not masked.clips[0][:, leads[place]].any() and np.array_equal(
        masked.clips[0][:, kept], seen.clips[0][:, kept]
    )
    assert seen.sample == masked.sample and seen.lead_masks[0][leads[place]]


def test_a_drawn_lead_depends_on_the_seed_and_the_question_alone(small_data):
    rows = small_data.questions.select(pool="localization_short")[:40]

    def absent(rows, seed):
        items = QuestionDataset(
            small_data.questions, rows, small_data.stores, InputConfig(), "random_lead_masked", seed
        )
        return {items[i].sample.id: tuple(items[i].lead_masks[0]) for i in range(len(items))}

    once = absent(rows, 0)
    assert once == absent(rows[::-1], 0) and once != absent(rows, 1)
    assert all(sum(mask) == 1 for mask in once.values()) and len(set(once.values())) > 1


def test_an_ecg_of_one_lead_keeps_it(small_data, monkeypatch):
    one = np.arange(12) == 1
    monkeypatch.setattr(
        small_data.stores, "read", lambda window: (np.ones((12, 1000), np.float32) * np.arange(1000), one.copy())
    )
    for view in ("first_lead_masked", "second_lead_masked", "random_lead_masked"):
        item = dataset(small_data, "localization_short", view)[0]
        assert np.array_equal(item.lead_masks[0], one) and item.clips[0].any()


def test_an_unknown_view_is_named(small_data):
    with pytest.raises(ConfigError, match="'loud'"):
        dataset(small_data, "report", "loud")


def test_limits_cut_seconds_and_ecgs(small_data):
    long = dataset(small_data, "localization_long", max_seconds=10)
    assert all(len(long[i].clips[0]) == 1 for i in range(8))
    several = dataset(small_data, "multi_ecg", max_ecgs=1)[0]
    assert len(several.clips) == 1 and sum(turn.text.count(MARKER) for turn in several.sample.conversation) == 1


def test_limits_leave_the_words(small_data):
    sample = make_item(clips=(1, 1, 1)).sample
    cut = limited(sample, 2)
    assert [turn.text.replace(MARKER, "").split() for turn in cut.conversation] == [
        turn.text.replace(MARKER, "").split() for turn in sample.conversation
    ]
    assert cut.records == sample.records[:2]


def stage_data(data, cfg, context=2048, **settings):
    model = make_model()
    collate = Collator(model.llm.chat, model.places, model.llm.context)
    return StageData(
        data,
        cfg,
        InputConfig(),
        replay=settings.pop("replay", 1.0),
        seed=0,
        collate=collate,
        measure=collate.measure,
        context=context,
        **settings,
    )


def test_the_mixture_and_whole_steps(small_data):
    cfg = StageConfig(
        tasks={"localization_short": 2, "localization_long": 1},
        replay={"report": 3},
        samples=100,
        batch_size=48,
        micro_batch=16,
    )
    loader = stage_data(small_data, cfg)
    assert loader.steps == 3 and loader.accumulate == 3 and len(loader.plan) == 9
    assert loader.counts == {"report": 72, "localization_short": 48, "localization_long": 24}
    assert stage_data(small_data, cfg, replay=0.0).counts == {"localization_short": 96, "localization_long": 48}


def test_only_training_patients_are_visited(small_data):
    loader = stage_data(small_data, StageConfig(tasks={"report": 1, "multi_ecg": 1}, samples=256, batch_size=64))
    test_patients = {small_data.questions[int(row)].patient for row in small_data.questions.select(split="test")}
    assert not test_patients & {loader.dataset.sample(position).patient for batch in loader.plan for position in batch}


def test_what_is_too_long_is_left_out_and_counted(small_data):
    loader = stage_data(
        small_data,
        StageConfig(tasks={"localization_short": 1, "localization_long": 1}, samples=32, batch_size=16),
        context=300,
    )
    assert sum(loader.skipped.values()) > 0
    assert all((batch.attention_mask.sum(1) <= 300).all() for batch in loader.train_dataloader())


def test_only_what_is_visited_is_read(small_data, monkeypatch):
    read = []
    sample = QuestionDataset.sample
    monkeypatch.setattr(QuestionDataset, "sample", lambda self, index: read.append(int(index)) or sample(self, index))
    loader = stage_data(
        small_data, StageConfig(tasks={"report": 1, "localization_short": 1}, samples=16, batch_size=16)
    )
    assert sorted(read) == sorted(loader.plan.rows) and len(read) == 16 and not loader.skipped


def test_too_long_questions_are_replaced_and_counted_among_those_drawn(small_data, caplog):
    cfg = StageConfig(tasks={"localization_short": 1, "localization_long": 1}, samples=32, batch_size=16)
    loader = stage_data(small_data, cfg, context=300)
    assert loader.plan.rows.size == 32 and loader.counts == {"localization_short": 16, "localization_long": 16}
    (too_long,) = loader.skipped.values()
    assert f"{too_long} of {too_long + 32} questions drawn are longer" in caplog.text
    assert stage_data(small_data, cfg, context=300).plan.rows.tolist() == loader.plan.rows.tolist()


def test_every_pool_of_the_recipe_has_questions(small_data):
    experiment = config.load("experiments/anyecg_chat.yaml")
    pools = set(small_data.questions.column("pool"))
    for stage in experiment.stages.values():
        assert set(stage.tasks) | set(stage.replay) <= pools


def steps_of(loader):
    """The rows of each step, in order of number."""
    return [
        sorted(np.concatenate([loader.plan[n] for n in range(s * loader.passes, (s + 1) * loader.passes)]).tolist())
        for s in range(loader.steps)
    ]


def test_a_step_is_the_same_random_mixture_however_it_is_cut(small_data):
    cfg = {
        "tasks": {"localization_short": 2, "localization_long": 1},
        "replay": {"report": 3},
        "samples": 640,
        "batch_size": 16,
    }
    made = [stage_data(small_data, StageConfig(**cfg, **cut)) for cut in ({}, {"micro_batch": 4}, {"tokens": 2048})]
    steps = steps_of(made[0])
    assert steps == steps_of(made[1]) == steps_of(made[2]) and made[1].passes == 4
    pool = small_data.questions.column("pool")
    long = np.array([(pool[rows] == "localization_long").sum() for rows in steps])
    # by chance 5 % of steps have none; in batches of like length most have none and some nothing else
    assert long.sum() == pytest.approx(640 / 6, abs=1) and (long == 0).mean() < 0.2 and long.max() < 9


def test_an_encoder_of_another_rate_is_refused_by_key_and_command(small_data):
    with pytest.raises(
        ConfigError, match=r"encoder: takes 500 Hz, its data has 100 Hz; .*data build .*encoder\.fs=500"
    ):
        QuestionDataset(small_data.questions, [0], small_data.stores, InputConfig(), spec=InputSpec(fs=500))
