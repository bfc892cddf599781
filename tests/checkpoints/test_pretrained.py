"""`anyecg.load`: embeddings, labels and answers of a model in a folder, and its way to the hub and back."""

import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from huggingface_hub.errors import HfHubHTTPError
from safetensors.torch import load_file

import anyecg
from anyecg import config
from anyecg.answerers.ranker import HEAD_NAMES
from anyecg.checkpoints import load_session
from anyecg.checkpoints.export import export
from anyecg.training.assembly import build_model
from anyecg.training.pipeline import HEADS, save_stage
from anyecg.training.planning import plan
from anyecg.types import CANONICAL_LEADS, CheckpointError, DataError, ECGRecord
from tests.conftest import SMALL
from tests.data.own.own_files import FS, LEADS, SIGNAL, write_wfdb

LABELS = ("Atrial fibrillation", "Sinus rhythm", "Premature ventricular contraction")


@pytest.fixture(scope="module")
def loaded(toy):
    return anyecg.load(toy[2])


@pytest.fixture(scope="module")
def encoder_alone(toy, small_cache, tmp_path_factory):
    """The export of a run that trained its encoder alone."""
    folder = tmp_path_factory.mktemp("encoder")
    experiment = config.load("experiments/baselines/ranker.yaml", [*SMALL, f"cache={small_cache}", f"output={folder}"])
    (stage,) = plan(experiment, "data")
    path = folder / "run" / "stages" / stage.name
    path.mkdir(parents=True)
    model = build_model(config.load("experiments/anyecg_chat.yaml", [*SMALL, "llm.tuning=none"]), _Words())
    heads = load_file(toy[1] / "stages" / "contrastive" / HEADS)
    save_stage(model, stage, path, {"steps": 3, "samples": {"report": 48}, "trainable": {"encoder": 1}}, heads=heads)
    (folder / "run" / "config.yaml").write_text(config.dump(experiment))
    for name in ("metrics.json", "table.md"):
        shutil.copy(toy[1] / name, folder / "run")
    return export(folder / "run", folder / "model"), model.encoder


class _Words:
    """The little of built data that a tokenizer is trained on."""

    def __init__(self):
        turns = [SimpleNamespace(text="Please provide the report for the following ECG.")]
        sample = SimpleNamespace(conversation=turns, evidence=("Sinus rhythm",))
        self.questions = type("Questions", (list,), {"select": lambda self, **_: range(len(self))})([sample])


def test_importing_anyecg_imports_no_torch():
    code = "import anyecg, sys; print('torch' in sys.modules, 'numpy' in sys.modules, {'load', 'read_ecg'} <= {*dir(anyecg)})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "False", "True"]
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = anyecg.lod


def test_files_records_and_arrays_embed_alike(loaded, tmp_path):
    record = ECGRecord(SIGNAL, FS, LEADS, "own", "")
    by_record = loaded.embed([record])
    assert by_record.shape == (1, loaded.encoder.dim) and by_record.dtype == np.float32
    np.testing.assert_allclose(loaded.embed([write_wfdb(tmp_path)]), by_record, atol=1e-2)  # 16 bits on disk
    for array in (SIGNAL, SIGNAL.T, torch.from_numpy(np.asarray(SIGNAL)), np.asarray(SIGNAL) * 1000):
        units = "uV" if np.abs(np.asarray(array)).max() > 100 else None
        given = loaded.embed([array], fs=FS, leads=LEADS, units=units)
        np.testing.assert_allclose(given, by_record, atol=1e-5)
    assert loaded.embed([]).shape == (0, loaded.encoder.dim)


def test_a_vector_is_the_mean_over_an_ecgs_clips(loaded):
    rng = np.random.default_rng(0)
    halves = [rng.normal(size=(12, 500)).astype(np.float32) for _ in range(2)]
    parts = [np.concatenate([half, -half], axis=1) for half in halves]  # of one median and one range, as both together
    parts = [part / np.abs(part).max(axis=1, keepdims=True) for part in parts]
    spec = loaded.encoder.input
    one, two, both = (
        ECGRecord(signal, spec.fs, CANONICAL_LEADS, "own", "")
        for signal in (parts[0], parts[1], np.concatenate(parts, axis=1))
    )
    apart, joined = loaded.embed([one, two] * 20), loaded.embed([both])  # more than are read at once
    assert apart.shape == (40, loaded.encoder.dim)
    np.testing.assert_allclose(apart[0], apart[38], atol=1e-5)
    assert not np.allclose(apart[0], apart[1], atol=1e-4)
    np.testing.assert_allclose(joined[0], (apart[0] + apart[1]) / 2, atol=1e-5)


def test_what_cannot_be_embedded_is_named(loaded, tmp_path):
    for ecgs, words in (
        (str(tmp_path / "own.hea"), "ecgs: give a list"),
        (SIGNAL, "ecgs: give a list"),
        ([SIGNAL], "names no leads; pass leads="),
        ([5], r"ecgs\[0\] is a int"),
        (["nowhere.dat"], "nowhere.dat"),
    ):
        with pytest.raises(DataError, match=words):
            loaded.embed(ecgs)
    with pytest.raises(DataError, match=r"ecgs\[1\].*fs"):
        loaded.embed([ECGRecord(SIGNAL, FS, LEADS, "own", ""), SIGNAL], leads=LEADS)


def test_labels_are_ranked_with_the_encoder_of_the_contrastive_stage(toy, loaded):
    record = ECGRecord(SIGNAL, FS, LEADS, "mine", "")
    found = loaded.classify([record, record], LABELS)
    assert list(found.columns) == list(LABELS) and list(found.index) == ["mine", "mine"]
    assert found.to_numpy().min() >= -1 and found.to_numpy().max() <= 1 and (found.iloc[0] == found.iloc[1]).all()
    texts = loaded.classify([record], {"AF": LABELS[0]})
    assert texts.loc["mine", "AF"] == pytest.approx(found.iloc[0, 0], abs=1e-6)
    # stage 2 trained the encoder further, and the heads belong to the encoder before it
    kept = load_file(toy[1] / "stages" / "contrastive" / "parts.safetensors")
    own = {f"encoder.{name}": value for name, value in loaded.zero_shot.encoder.state_dict().items()}
    assert own.keys() == kept.keys() and all(torch.equal(own[name], kept[name]) for name in own)
    assert any(not torch.equal(own[f"encoder.{name}"], value) for name, value in loaded.encoder.state_dict().items())
    for labels, words in ((LABELS[0], "labels: give a list"), ([], "at least one")):
        with pytest.raises(DataError, match=words):
            loaded.classify([record], labels)


def test_it_answers_as_a_session_does(toy, loaded, tmp_path):
    path = write_wfdb(tmp_path)
    session = load_session(toy[2])
    first = session.ask("What does this ECG show?", [path], max_new_tokens=8)
    assert loaded.ask("What does this ECG show?", [path], max_new_tokens=8) == first
    chat = loaded.chat()
    assert chat.ask("What does this ECG show?", [path], max_new_tokens=8) == first
    assert chat.ask("Is it abnormal?", max_new_tokens=8) == session.ask("Is it abnormal?", max_new_tokens=8)
    assert loaded.chat().dialogue.turns == []


def test_an_encoder_alone_embeds_and_ranks(encoder_alone):
    folder, encoder = encoder_alone
    model, record = anyecg.load(folder), ECGRecord(SIGNAL, FS, LEADS, "mine", "")
    state = encoder.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in model.encoder.state_dict().items())
    assert model.embed([record]).shape == (1, encoder.dim) and model.classify([record], LABELS).shape == (1, 3)
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "config.json", "model.safetensors", "zero_shot.safetensors",
    }  # fmt: skip
    assert load_file(folder / "zero_shot.safetensors").keys() == set(HEAD_NAMES)  # no second copy of the encoder
    with pytest.raises(CheckpointError, match="an encoder alone"):
        model.ask("What is this?", [record])
    card = (folder / "README.md").read_text()
    assert "An ECG encoder that was trained" in card and "model.embed(" in card and "| LLM" not in card


def test_a_folder_without_a_contrastive_stage_says_so(toy, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(toy[2], folder)
    told = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(told | {"zero_shot": None}))
    with pytest.raises(CheckpointError, match="keeps no contrastive stage"):
        anyecg.load(folder).classify([ECGRecord(SIGNAL, FS, LEADS, "mine", "")], LABELS)
    (folder / "config.json").write_text(json.dumps(told))
    (folder / "zero_shot.safetensors").write_bytes(b"cut")
    with pytest.raises(CheckpointError, match=r"zero_shot.safetensors: cannot be read"):
        _ = anyecg.load(folder).zero_shot
    with pytest.raises(CheckpointError, match="holds no model"):
        anyecg.load(tmp_path)
    with pytest.raises(CheckpointError, match="there is no folder"):
        anyecg.load(tmp_path / "nowhere")


def test_to_the_hub_and_back(toy, loaded, tmp_path, monkeypatch):
    """A hub that is a folder: what is pushed is the folder, and a repository's name loads it."""
    asked = []

    class Hub:
        def create_repo(self, repository, private, exist_ok):
            asked.append((repository, private))
            return f"https://hub/{repository}"

        def upload_folder(self, repo_id, folder_path, commit_message):
            shutil.copytree(folder_path, tmp_path / repo_id)

    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download",
        lambda name, revision, allow_patterns: asked.append((name, revision)) or str(tmp_path / name),
    )
    assert loaded.push_to_hub("clinic/toy") == "https://hub/clinic/toy" and asked == [("clinic/toy", True)]
    back = anyecg.ECGModel.from_pretrained("clinic/toy", revision="v1")
    record = ECGRecord(SIGNAL, FS, LEADS, "mine", "")
    assert asked[-1] == ("clinic/toy", "v1") and np.array_equal(back.embed([record]), loaded.embed([record]))


def test_a_hub_that_refuses_is_told(loaded, monkeypatch):
    class Hub:
        def create_repo(self, *_, **__):
            raise OSError("Token is required, but no token found.")

    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    with pytest.raises(CheckpointError, match="hf auth login"):
        loaded.push_to_hub("clinic/toy")
    with pytest.raises(CheckpointError, match="no folder here, and the hub does not give it"):
        anyecg.load("nobody/no-such-model")  # the tests have no network
    assert issubclass(HfHubHTTPError, OSError)
