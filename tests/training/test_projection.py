"""What stages would take, at the paper's size on the meta device and where the data is built."""

import json

import pytest

from anyecg import config
from anyecg.data.loading.collate import Collator
from anyecg.llms.base import LanguageModel, LLMConfig
from anyecg.training.engines.deepspeed import DeepSpeed, nodes
from anyecg.training.flops import Forward, Shape, answering_flops
from anyecg.training.plan_lengths import measured, shares, stated
from anyecg.training.planning import plan
from anyecg.training.projection import outline, project
from anyecg.types import ConfigError, Places
from tests.conftest import SMALL, TEXTS

EXPERIMENT = "experiments/anyecg_chat.yaml"
FULL = "experiments/ablation_full_tuning.yaml"


@pytest.fixture(scope="module")
def paper():
    return config.load(EXPERIMENT, ["scale=paper"])


@pytest.fixture(scope="module")
def model(paper):
    return outline(paper)


@pytest.fixture(scope="module")
def projection(paper):
    return project(paper)


def millions(count):
    return round(count / 1e6, 1)


def test_the_papers_sizes_without_its_weights(model):
    sizes = {group: sum(p.numel() for p in members.values()) for group, members in model.groups().items()}
    assert {p.device.type for p in model.parameters()} == {"meta"}
    assert millions(sizes["connector"]) == 19.9 and millions(sizes["llm"]) == 3.4
    assert millions(sizes["encoder"]) == 85.2
    # with the head of contrastive pre-training that the published ViT has
    assert millions(sizes["encoder"] + 768 * 512) == 85.6
    assert sizes["llm_weights"] == 8_030_261_248  # Llama-3-8B


def test_pulse_at_the_papers_size():
    """CLIP ViT-L/14-336 frozen, mlp2x_gelu, Vicuna-7B whole; five tiles of 576 tokens a page, three epochs at 128."""
    pulse = config.load("experiments/pulse.yaml", ["scale=paper"])
    model = outline(pulse)
    sizes = {group: sum(p.numel() for p in members.values()) for group, members in model.groups().items()}
    # 303.5 million, without the last layer, which nobody reads
    assert millions(sizes["encoder"]) == 290.9 and sizes["llm_weights"] == 6_738_415_616
    assert sizes["connector"] == 1024 * 4096 + 4096 + 4096 * 4096 + 4096
    (page,) = stated(pulse, model, "instruct_report", "signal")
    assert page.clips == 5 and sum(model.connector.tokens(model.encoder.prefix, model.encoder.patches)) == 576
    assert 2_880 < page.tokens < 4_096  # of the context
    (stage,) = project(pulse).stages
    assert stage.trains == {"connector": sizes["connector"], "llm": sizes["llm_weights"]}
    assert stage.steps == 27_097


def test_what_each_stage_trains_and_how_often(projection):
    stages = {stage.name: stage for stage in projection.stages}
    assert list(stages) == ["contrastive", "stage1", "stage2", "stage3"]
    assert stages["stage2"].trains == {
        "encoder": 85_199_248,
        "connector": 19_931_136,
        "markers": 8_192,
        "llm": 3_407_872,
    }
    # BioBERT's 768; a scale and a bias
    assert stages["contrastive"].trains == {"encoder": 85_199_248, "heads": 2 * (768 * 768 + 768) + 2}
    assert "encoder" not in stages["stage3"].trains and "llm" not in stages["stage1"].trains
    assert stages["stage2"].steps == 28_855  # 2 x 923,343 visits (Table 3) in steps of 64, the last one filled up
    for stage in stages.values():
        assert (
            stage.learning + stage.frozen - stage.trains.get("heads", 0)
            == 85_199_248 + 19_931_136 + 8_192 + 3_407_872 + 8_030_261_248
        )
    assert all(stage.trained is None for stage in stages.values())


def test_a_frozen_llm_takes_about_4n_and_a_learning_one_6n(model):
    forward, body, tokens = Forward.of(model), 32 * (2 * 4096**2 + 2 * 4096 * 1024 + 3 * 4096 * 14336), 200
    text = Shape(clips=0, tokens=tokens, answers=20)
    assert answering_flops(forward, text, ("markers",), "lora") == pytest.approx(4 * body * tokens, rel=0.02)
    learning = outline(config.load(FULL, ["scale=paper"]))
    assert answering_flops(Forward.of(learning), text, ("llm",), "full") == pytest.approx(6 * body * tokens, rel=0.02)


def test_heads_whose_size_is_not_known_are_left_out():
    stage = project(config.load(EXPERIMENT, ["scale=paper", "text_encoder.path=somewhere/else"])).stages[0]
    assert stage.trains == {"encoder": 85_199_248}


def test_hours_are_flops_over_what_the_gpus_do(projection):
    stage = projection.stages[2]
    assert stage.hours(8, 0.4, 1e15) == pytest.approx(stage.samples * stage.cost.flops / (8 * 0.4 * 1e15) / 3600)
    assert stage.hours(8, 0.2, 1e15) == pytest.approx(2 * stage.hours(8, 0.4, 1e15))
    assert stage.hours(128, 0.4, 1e15) is None  # 64 samples are not one for each of 128
    assert stage.hours(64, 0.4, 1e15) == pytest.approx(stage.hours(8, 0.4, 1e15) / 8)


def test_checkpointing_is_told_apart(projection):
    assert (
        not project(config.load(EXPERIMENT, ["scale=paper", "llm.gradient_checkpointing=false"]))
        .stages[1]
        .cost.recomputed
    )
    # three quarters of one pass more to about two
    assert 0.3 < projection.stages[1].cost.recomputed / projection.stages[1].cost.flops < 0.4


def test_lengths_of_samples_without_data(paper, model):
    assert {s.clips for s in stated(paper, model, "localization_long", "signal")} == {1, 2, 3, 4, 5, 6}
    assert [s.clips for s in stated(paper, model, "multi_ecg", "signal")] == [2, 3, 4, 5, 6]
    (report,) = stated(paper, model, "report", "signal")
    assert report.tokens == 1 + 60 + 2 + 11 + 10 + 21
    (text,) = stated(paper, model, "report", "text")
    assert text.clips == 0 and text.tokens < report.tokens


def test_shares_of_a_mixture(paper):
    stage2 = paper.stages["stage2"]
    assert shares(stage2, 1.0) == pytest.approx(
        {"localization_short": 2 / 6, "localization_long": 1 / 6, "report": 3 / 6}
    )
    assert shares(stage2, 0.0) == pytest.approx({"localization_short": 2 / 3, "localization_long": 1 / 3})


def test_built_data_is_measured_and_its_stages_are_found(small_cache, small_data):
    experiment = config.load(EXPERIMENT, [*SMALL, f"cache={small_cache}"])
    texts = lambda: TEXTS  # noqa: E731
    found = project(experiment, small_data, texts)
    assert all(found.lengths.values()) and found.stages[0].name == "language"
    chat = experiment.llm.component.reader(experiment.llm.config, texts, small_cache)[0]
    small = outline(experiment)
    shapes = measured(experiment, small, "multi_ecg", "signal", small_data, chat)
    row = int(small_data.questions.select(split="train", pool="multi_ecg")[0])
    sample = small_data.questions[row]
    assert (
        Shape(len(sample.records), *Collator(chat, Places(1, 60), 0).measure(sample, [1] * len(sample.records)))
        in shapes
    )
    last = found.stages[-1]
    assert last.cost.tokens > 61 and last.cost.answers < last.cost.tokens


def test_a_stage_in_the_cache_is_told(tmp_path, small_data):
    experiment = config.load(EXPERIMENT, [*SMALL, f"cache={tmp_path}"])
    done = plan(experiment, small_data.fingerprint)[1]
    done.folder.mkdir(parents=True)
    (done.folder / "stage.json").write_text(json.dumps({}))
    assert [s.trained for s in project(experiment, small_data, lambda: TEXTS).stages] == [
        False,
        True,
        False,
        False,
        False,
    ]


def test_an_llm_without_an_outline_is_told():
    class Strange(LanguageModel):
        Config = LLMConfig

    with pytest.raises(ConfigError, match="architecture"):
        Strange.outline(LLMConfig())


@pytest.mark.parametrize("gpus", [1, 2, 4, 8, 16, 32, 64])
def test_memory_is_deepspeeds_estimate_of_what_trains(gpus):
    pytest.importorskip("deepspeed")
    from deepspeed.runtime.zero.stage3 import estimate_zero3_model_states_mem_needs as zero3
    from deepspeed.runtime.zero.stage_1_and_2 import estimate_zero2_model_states_mem_needs as zero2

    engines, trained, frozen, largest = DeepSpeed.estimates(), 10**8, 8 * 10**9, 5 * 10**8
    each, machines = nodes(gpus)
    assert each * machines == gpus and each <= 8
    share = frozen / gpus
    assert {name: engine(trained, frozen, largest, gpus) for name, engine in engines.items()} == {
        "ZeRO-2": zero2(trained, each, machines, cpu_offload=False)[1] + 2 * frozen,
        "ZeRO-2, optimizer on CPU": zero2(trained, each, machines, cpu_offload=True)[1] + 2 * frozen,
        "ZeRO-3": zero3(trained, largest, each, machines, cpu_offload=False, cpu_offload_params=False)[1] + 2 * share,
        "ZeRO-3, optimizer on CPU": zero3(trained, largest, each, machines, cpu_offload=True, cpu_offload_params=False)[
            1
        ]
        + 2 * share,
        "ZeRO-3, all on CPU": zero3(trained, largest, each, machines, cpu_offload=True, cpu_offload_params=True)[1],
    }
