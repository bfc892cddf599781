"""A run written as one folder, and the model read back: the same answers, without the data it was trained on."""

import json
import shutil

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from anyecg import config
from anyecg.answerers.language_model import LanguageModel
from anyecg.checkpoints import load_model, load_session
from anyecg.checkpoints.export import export
from anyecg.export import main
from anyecg.model import ECGLanguageModel
from anyecg.session import Dialogue, Reading, Session
from anyecg.training.assembly import build_model
from anyecg.training.pipeline import load_stage, save_stage
from anyecg.training.planning import plan
from anyecg.types import CANONICAL_LEADS, CheckpointError, ConfigError, DataError, ECGRecord
from tests.checkpoints.conftest import FEW, settings
from tests.conftest import SMALL
from tests.data.own.own_files import write_wfdb


@pytest.fixture(scope="module")
def loaded(toy):
    return load_model(toy[2])


def run_of(experiment, model, toy, folder):
    """A run's folder as it would be had `model` come out of it, with the table of the toy."""
    folder.mkdir()
    (folder / "config.yaml").write_text(config.dump(experiment))
    for name in ("metrics.json", "table.md"):
        shutil.copy(toy[1] / name, folder)
    for stage in plan(experiment, "data"):
        path = folder / "stages" / stage.name
        path.mkdir(parents=True)
        save_stage(
            model, stage, path, {"steps": 3, "samples": {"report": 48}, "trainable": model.train_only(stage.cfg.trains)}
        )
    return folder


def shaken(model):
    """The model with every parameter moved a little, as if trained."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.01)
    return model


@pytest.fixture
def damaged(toy, tmp_path):
    """A copy of the exported folder to spoil."""
    shutil.copytree(toy[2], tmp_path / "model")
    return tmp_path / "model"


def test_the_folder_follows_the_convention(toy):
    held = {str(path.relative_to(toy[2])) for path in toy[2].rglob("*") if path.is_file()}
    assert {
        "README.md",
        "config.json",
        "model.safetensors",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "llm/config.json",
        "llm/model.safetensors",
        "llm/tokenizer.json",
    } <= held
    assert not [name for name in held if name.endswith((".bin", ".pth", ".pt", ".ckpt"))]
    assert {key.split(".")[0] for key in load_file(toy[2] / "model.safetensors")} == {"encoder", "connector", "fusion"}
    assert toy[2].stat().st_mode & 0o077 == toy[1].stat().st_mode & 0o077
    assert not list(toy[2].parent.glob(".*"))


def test_transformers_and_peft_read_their_part(toy, loaded):
    base = AutoModelForCausalLM.from_pretrained(toy[2] / "llm")
    adapted = PeftModel.from_pretrained(base, toy[2] / "adapter").eval()
    ids = AutoTokenizer.from_pretrained(toy[2] / "llm")("Report: Sinus rhythm", return_tensors="pt").input_ids
    with torch.no_grad():
        torch.testing.assert_close(
            adapted(input_ids=ids).logits[0],
            loaded.llm.head(loaded.llm.hidden(loaded.llm.embed(ids)))[0],
            atol=1e-5,
            rtol=1e-5,
        )
    assert json.loads((toy[2] / "adapter/adapter_config.json").read_text())["base_model_name_or_path"] == "llm"


def test_the_model_read_back_is_the_runs(toy, loaded, small_data):
    experiment, folder, _ = toy  # noqa: RUF059
    model = build_model(experiment, small_data)
    for stage in plan(experiment, small_data.fingerprint):
        load_stage(model, stage)
    assert same(model, loaded)
    assert any(p.any() for name, p in loaded.llm.tuned() if "lora_B" in name)
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())
    # it can be trained further
    assert loaded.train_only(["llm"])["llm"] == sum(p.numel() for p in loaded.parameters() if p.requires_grad)
    loaded.requires_grad_(False)


def test_the_answers_are_those_in_the_runs_predictions(toy, loaded, small_data):
    experiment, folder, _ = toy
    lines = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    given = {line["id"]: line["text"] for line in lines if line["view"] == "signal"}
    questions = {
        sample.id: sample
        for sample in (small_data.questions[int(row)] for row in small_data.questions.select(split="test"))
    }
    settings = experiment.evaluation
    asker = LanguageModel().use(
        loaded,
        small_data.stores,
        experiment.input,
        batch_size=settings.batch_size,
        max_new_tokens=settings.max_new_tokens,
    )
    answers = {p.id: p.text for p in asker.answer([questions[id] for id in given], "signal")}
    assert answers == given and any(answers.values())


def recording(stores, window):
    """A stored window as a record of one's own, with the leads that are there."""
    signal, mask = stores.read(window)
    return ECGRecord(signal[mask], 100.0, tuple(lead for lead, there in zip(CANONICAL_LEADS, mask) if there), "own", "")


@pytest.mark.parametrize("task", ["localization", "multi_ecg"])
def test_asked_directly_it_answers_as_evaluated(task, toy, loaded, small_data):
    """A session puts one ECG, or several with markers in the question, to the model as the evaluation does."""
    experiment, stores = toy[0], small_data.stores
    rows = small_data.questions.select(split="test", task=task)[:4]
    samples = [small_data.questions[int(row)] for row in rows]
    expected = {
        p.id: p.text
        for p in LanguageModel()
        .use(loaded, stores, experiment.input, batch_size=4, max_new_tokens=12)
        .answer(samples, "signal")
    }
    for sample in samples:
        text = sample.conversation[0].text
        text = text.removeprefix("<ecg>\n") if len(sample.records) == 1 else text
        assert (
            Session(loaded).ask(text, [recording(stores, window) for window in sample.records], max_new_tokens=12)
            == expected[sample.id]
        )


def test_a_session_gets_its_ecgs_as_the_folder_says(toy):
    session = load_session(toy[2], llm={"dtype": "float32"})
    assert session.reading == Reading(max_seconds=toy[0].input.max_seconds, max_ecgs=toy[0].input.max_ecgs)
    assert not session.model.training and not any(p.requires_grad for p in session.model.parameters())


def test_a_dialogue_goes_on(loaded, tmp_path, caplog):
    path, session = write_wfdb(tmp_path), Session(loaded)
    first = session.ask("Please provide the report for the following ECG.", [path], max_new_tokens=8)
    second = session.ask("Is it abnormal?", max_new_tokens=8)
    session.ask("What changed?", [str(path)], max_new_tokens=8)
    words = [turn.text for turn in session.dialogue.turns]
    assert words[0] == "<ecg>\nPlease provide the report for the following ECG." and words[1:4] == [
        first,
        "Is it abnormal?",
        second,
    ]
    assert words[4] == "ECG 2: <ecg>\nWhat changed?" and len(session.dialogue.clips) == 2
    session.restart()
    assert (
        isinstance(session.ask("Is it abnormal?", [path], max_new_tokens=8), str) and len(session.dialogue.turns) == 2
    )


def test_an_ecg_is_encoded_once_in_a_dialogue(loaded, tmp_path, monkeypatch):
    path, session, seen = write_wfdb(tmp_path), Session(loaded), []
    encode = ECGLanguageModel.ecg_tokens
    monkeypatch.setattr(
        ECGLanguageModel,
        "ecg_tokens",
        lambda self, signal, *rest: seen.append(len(signal)) or encode(self, signal, *rest),
    )
    session.ask("Please provide the report for the following ECG.", [path], max_new_tokens=8)

    def copied():
        dialogue = session.dialogue
        # the same turns, nothing encoded
        return Session(loaded, dialogue=Dialogue(dialogue.turns, dialogue.clips, dialogue.lead_masks))

    again = copied()
    for question in ("Is it abnormal?", "Is it normal?"):
        assert session.ask(question, max_new_tokens=8) == again.ask(question, max_new_tokens=8)
    assert seen == [1, 1]
    anew = copied()
    answers = [one.ask("What changed?", [path], max_new_tokens=8) for one in (session, anew)]
    # a further ECG: it alone, or all of a dialogue that was held elsewhere
    assert answers[0] == answers[1] and seen == [1, 1, 1, 2]


def test_what_cannot_be_asked_leaves_the_dialogue_as_it_was(loaded, tmp_path, caplog):
    path, session = write_wfdb(tmp_path), Session(loaded)
    for ecgs, question, words in (
        ([path] * 7, "What?", "7 ECGs in one dialogue; this model takes 6"),
        ([path], "<ecg> and <ecg>?", "2 <ecg> markers for 1"),
        (["nowhere.dat"], "What?", "nowhere.dat"),
        (path, "What?", "give a list"),
        ([path], "rhythm " * 2000, "context holds"),
    ):
        with pytest.raises(DataError, match=words):
            session.ask(question, ecgs)
    assert session.dialogue == Dialogue()


def test_a_long_ecg_is_cut_with_a_warning(loaded, small_data, caplog):
    window = next(
        iter(small_data.questions[int(row)] for row in small_data.questions.select(pool="localization_long"))
    ).records[0]
    whole = recording(small_data.stores, type(window)(window.record))
    with caplog.at_level("WARNING"):
        Session(loaded).ask("What is this?", [whole], max_new_tokens=2)
    assert whole.signal.shape[1] > 6000 and "the first 60 s are read" in caplog.text


def test_the_card_has_the_runs_table_and_no_path_of_this_machine(toy):
    card, written = (toy[2] / "README.md").read_text(), (toy[1] / "table.md").read_text()
    tables = written[written.index("### ") :]
    assert tables in card and "blind (no ECG)" in tables and "shuffled (another patient's ECG)" in tables
    assert "simulated ECGs" in card and "session.ask(" in card and "| contrastive |" in card
    for file in (
        "README.md",
        "config.json",
        "adapter/adapter_config.json",
        "llm/config.json",
        "llm/tokenizer_config.json",
    ):
        assert str(toy[1].parents[1]) not in (toy[2] / file).read_text(), file
    told = json.loads((toy[2] / "config.json").read_text())
    assert told["experiment"]["stages"]["stage2"]["samples"] == 48 and told["llm"]["path"] == "./llm"


def same(one, other):
    one, other = one.state_dict(), other.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_full_tuning_is_exported_whole(toy, small_data, small_cache, tmp_path):
    experiment = settings(small_cache, tmp_path, "llm.tuning=full")
    model = shaken(build_model(experiment, small_data))
    folder = export(run_of(experiment, model, toy, tmp_path / "run"), tmp_path / "model")
    assert not (folder / "adapter").exists() and not (folder / "llm.safetensors").exists()
    assert same(model, load_model(folder))


def test_another_fusion_is_exported_with_its_blocks(toy, small_data, small_cache, tmp_path):
    """The LLM stays the library's: its folder and its adapter hold nothing of the fusion."""
    experiment = config.load(
        "experiments/fusion_cross.yaml", [*SMALL, *FEW, f"cache={small_cache}", f"output={tmp_path}"]
    )
    model = shaken(build_model(experiment, small_data))
    folder = export(run_of(experiment, model, toy, tmp_path / "run"), tmp_path / "model")
    held = load_file(folder / "model.safetensors")
    assert any(name.startswith("fusion.blocks.") for name in held) and "fusion.markers" in held
    for name in ("llm/model.safetensors", "adapter/adapter_model.safetensors"):
        assert not [key for key in load_file(folder / name) if "fusion" in key or "blocks" in key]
    assert same(model, load_model(folder)) and "| fusion | cross |" in (folder / "README.md").read_text()
    session = load_session(folder)
    first = session.ask("What is this?", [write_wfdb(tmp_path)], max_new_tokens=8)
    assert isinstance(session.ask("Is it abnormal?", max_new_tokens=8), str) and session.dialogue.turns[1].text == first


def test_an_llm_that_was_not_trained_here_is_named_not_copied(toy, small_cache, tmp_path):
    """llm=hf: the folder holds what was trained; the LLM comes from where it lies, or from where it is said to lie."""
    base = tmp_path / "base"
    shutil.copytree(toy[2] / "llm", base)
    experiment = config.load(
        "experiments/anyecg_chat.yaml",
        [
            *(one for one in SMALL if not one.startswith("llm.")),
            "llm=hf",
            f"llm.path={base}",
            "llm.dtype=float32",
            *FEW,
            f"cache={small_cache}",
        ],
    )
    model = build_model(experiment, None)
    with torch.no_grad():
        for _, parameter in model.llm.tuned():
            parameter.add_(0.01)
    folder = export(run_of(experiment, model, toy, tmp_path / "run"), tmp_path / "model")
    assert not (folder / "llm").exists() and str(base) in (folder / "README.md").read_text()
    assert same(model, load_model(folder))
    moved = base.rename(tmp_path / "moved")
    with pytest.raises(ConfigError, match="llm.path"):
        load_model(folder)
    assert same(model, load_model(folder, llm={"path": str(moved)}))


def test_a_view_that_was_not_evaluated_is_told(toy, tmp_path):
    folder = copied(toy, tmp_path / "run")
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps(metrics | {"views": ["signal", "shuffled"]}))
    assert "Not evaluated here: blind (no ECG)." in (export(folder, tmp_path / "model") / "README.md").read_text()


def test_a_taken_folder_is_not_touched(toy, tmp_path, capsys):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/thesis.txt").write_text("mine")
    assert main([str(toy[1]), "--to", str(tmp_path / "taken")]) == 2
    assert main([str(toy[1]), "--to", str(tmp_path / "taken"), "--overwrite"]) == 2
    assert "is no exported model" in capsys.readouterr().err and (tmp_path / "taken/thesis.txt").read_text() == "mine"
    assert main([str(toy[1]), "--to", str(tmp_path / "model")]) == 0
    assert main([str(toy[1]), "--to", str(tmp_path / "model")]) == 2
    assert "--overwrite" in capsys.readouterr().err
    (tmp_path / "model/stale").write_text("")
    assert main([str(toy[1]), "--to", str(tmp_path / "model"), "--overwrite"]) == 0
    assert not (tmp_path / "model/stale").exists() and sorted(p.name for p in tmp_path.iterdir()) == ["model", "taken"]


def test_an_export_that_fails_leaves_nothing(toy, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device", "model.safetensors")

    monkeypatch.setattr("anyecg.checkpoints.export.card", full)
    assert main([str(toy[1]), "--to", str(tmp_path / "model")]) == 2
    assert "disk is full" in capsys.readouterr().err and not list(tmp_path.iterdir())


def copied(toy, folder):
    shutil.copytree(toy[1], folder, symlinks=True)
    for link in (folder / "stages").iterdir():
        target = link.resolve() if link.exists() else (toy[1] / "stages" / link.name).resolve()
        link.unlink()
        link.symlink_to(target)
    return folder


def test_what_is_no_finished_run_is_told(toy, tmp_path, capsys):
    assert main([str(tmp_path), "--to", str(tmp_path / "model")]) == 2
    assert "is not the folder of a run" in capsys.readouterr().err
    broken = copied(toy, tmp_path / "run")
    (broken / "metrics.json").rename(tmp_path / "metrics.json")
    assert main([str(broken), "--to", str(tmp_path / "model")]) == 2
    assert "is not finished" in capsys.readouterr().err
    (tmp_path / "metrics.json").rename(broken / "metrics.json")
    (broken / "stages/stage2").unlink()
    (broken / "stages/stage2").symlink_to("/nowhere")
    assert main([str(broken), "--to", str(tmp_path / "model")]) == 2
    told = capsys.readouterr().err
    assert "stage 'stage2' is missing" in told and "/nowhere" in told and not (tmp_path / "model").exists()


def test_a_stage_of_another_model_is_refused(toy, tmp_path, capsys):
    broken = copied(toy, tmp_path / "run")
    text = (broken / "config.yaml").read_text()
    assert "  dim: 32\n" in text
    (broken / "config.yaml").write_text(text.replace("  dim: 32\n", "  dim: 48\n", 1))
    assert main([str(broken), "--to", str(tmp_path / "model")]) == 2
    assert "this model needs" in capsys.readouterr().err


def test_a_folder_that_does_not_hold_together_is_told(damaged, toy):
    weights = load_file(damaged / "model.safetensors")
    for spoilt, words in (
        ({k: v for k, v in weights.items() if k != "fusion.markers"}, "'fusion.markers' is missing"),
        (weights | {"fusion.markers": torch.zeros(2, 7)}, r"'fusion.markers' is \(2, 7\), this model needs \(2, 32\)"),
        (weights | {"encoder.more": torch.zeros(1)}, "'encoder.more', which this model does not have"),
    ):
        save_file(spoilt, damaged / "model.safetensors")
        with pytest.raises(CheckpointError, match=words):
            load_model(damaged)
    (damaged / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(CheckpointError, match="model.safetensors: cannot be read"):
        load_model(damaged)
    shutil.rmtree(damaged / "adapter")
    with pytest.raises(CheckpointError, match="adapter_model.safetensors: cannot be read"):
        load_model(damaged)
    shutil.rmtree(damaged / "llm")
    with pytest.raises(CheckpointError, match="is the download whole"):
        load_model(damaged)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda told: told | {"encoder": told["encoder"] | {"name": "vitt"}}, "did you mean 'vit'"),
        (lambda told: told | {"encoder": told["encoder"] | {"dims": 3}}, "config.json: encoder.dims: unknown key"),
        (lambda told: told | {"encoder": {"name": "vit", "scaling": "loud"}}, "encoder.scaling: .*'loud'"),
        (lambda told: told | {"anyecg": {"format": 1}}, "format 1; this version of anyecg reads format 2"),
        (
            lambda told: {"architectures": ["LlamaForCausalLM"]},
            "is no configuration that python -m anyecg.export wrote",
        ),
    ],
)
def test_a_configuration_that_cannot_be_used_is_told(change, words, damaged):
    path = damaged / "config.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises((CheckpointError, ConfigError), match=words):
        load_model(damaged)


def test_a_run_is_not_taken_for_a_model(toy, tmp_path):
    with pytest.raises(CheckpointError, match="it is a run: python -m anyecg.export"):
        load_model(toy[1])
    with pytest.raises(CheckpointError, match="holds no model"):
        load_model(tmp_path)


def test_help_says_what_it_does(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "--to FOLDER" in capsys.readouterr().out
