"""What many tests share: a small model, items to feed it, and small corpora built once a session."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
if "PYTEST_XDIST_WORKER" in os.environ:  # one of several processes: each its own core
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch

from anyecg.answerers.base import Answerer
from anyecg.connectors import connectors
from anyecg.data.loading.collate import Collator
from anyecg.data.loading.dataset import Item
from anyecg.encoders import encoders
from anyecg.fusion import fusions
from anyecg.llms import llms
from anyecg.model import ECGLanguageModel
from anyecg.types import MARKER, ECGSample, Turn, Window


def pytest_collection_modifyitems(items):
    """Leave out what needs a GPU where there is none."""
    if torch.cuda.is_available() or os.environ.get("ANYECG_GPU_TESTS"):
        return
    without = pytest.mark.skip(reason="needs a CUDA device; benchmarks/gpu_check.sh runs it on one")
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(without)


TEXTS = (
    "Please provide the report for the following ECG.",
    "Report: Sinus rhythm, Premature ventricular contraction, Normal ECG",
    "Where is the Premature ventricular contraction? Duration: 0.4s-3.7s, 4.6s-9.3s",
    "No Premature ventricular contraction Found",
    "ECG 1 (2168-12-11): ECG 2 (4 days later): what changed between the first and the second?",
)


def make_model(
    seed=0,
    encoder="vit",
    connector="mlp",
    fusion="tokens",
    tuning="lora",
    context=2048,
    checkpointing=False,
    fusion_settings=None,
    **encoder_settings,
):
    """An ECGLanguageModel of a few thousand parameters."""
    torch.manual_seed(seed)
    settings = {"dim": 32, "layers": 2, "heads": 2, "mlp": 64} if encoder == "vit" else {}
    eye = encoders[encoder](encoders[encoder].Config(**settings | encoder_settings))
    llm_class = llms["tiny"]
    llm = llm_class(
        llm_class.Config(
            dim=32,
            layers=2,
            heads=2,
            mlp=64,
            vocab=400,
            context=context,
            tuning=tuning,
            gradient_checkpointing=checkpointing,
        ),
        texts=lambda: TEXTS,
    )
    joint = connectors[connector].of(connectors[connector].Config(), eye, llm)
    return ECGLanguageModel(eye, joint, fuse(eye, joint, llm, fusion, **fusion_settings or {}), llm)


def fuse(encoder, connector, llm, fusion="tokens", **settings):
    """A fusion by name, for these parts."""
    return fusions[fusion](fusions[fusion].Config(**settings), llm, *connector.tokens(encoder.prefix, encoder.patches))


@pytest.fixture
def model():
    return make_model().eval()


def collator(model, **settings):
    return Collator(model.llm.chat, model.places, model.llm.context, **settings)


def make_item(id="q", clips=(1,), answer="Report: Sinus rhythm", question="What is this?", leads=12, seed=0):
    """A question over len(clips) ECGs of so many 10 s clips each, the first `leads` leads present."""
    rng = np.random.default_rng(seed)
    words = " ".join([*(f"ECG {i + 1}: {MARKER}" for i in range(len(clips))), question])
    sample = ECGSample(
        id=id,
        task="report",
        records=tuple(Window(f"r{i}") for i in range(len(clips))),
        conversation=(Turn("user", words), Turn("assistant", answer)),
        patient=id,
        evidence=tuple("Sinus rhythm" for _ in clips),
    )
    mask = np.arange(12) < leads
    signals = tuple((rng.uniform(-1, 1, (n, 12, 1000)) * mask[None, :, None]).astype(np.float32) for n in clips)
    return Item(sample, signals, tuple(mask for _ in clips))


class Answering(Answerer):
    """An answerer of a function `(samples, view) -> predictions`, with a key of its own."""

    converses = True

    def __init__(self, function, key="k"):
        super().__init__()
        self.function, self.key = function, key

    def answer(self, samples, view, answered=frozenset()):
        yield from (prediction for prediction in self.function(samples, view) if prediction.id not in answered)


MIXED = [((1,), 12), ((3,), 2), ((1, 1, 2), 12), ((6,), 2), ((), 12), ((1,) * 6, 12)]


@pytest.fixture
def mixed_items():
    """Short, long, several-ECG and text-only questions."""
    return [
        make_item(f"q{i}", clips, f"Report: Sinus rhythm {i}", leads=leads, seed=i)
        for i, (clips, leads) in enumerate(MIXED)
    ]


SMALL = (  # overrides that make a run of any shipped experiment take seconds
    "corpora.mimic.patients=60",
    "corpora.ptbxl.patients=60",
    "corpora.mit_bih_arrhythmia.patients=8",
    "corpora.mit_bih_st.patients=8",
    "corpora.european_st_t.patients=8",
    "encoder.dim=32",
    "encoder.layers=1",
    "encoder.heads=2",
    "encoder.mlp=64",
    "llm.dim=32",
    "llm.layers=1",
    "llm.heads=2",
    "llm.mlp=64",
    "text_encoder=lexical",
    *(
        f"stages.{name}.{key}"
        for name in ("language", "contrastive", "stage1", "stage2", "stage3")
        for key in ("samples=48", "batch_size=16", "micro_batch=8")
    ),
    "trainer.log_every=1",
    "trainer.checkpoint_every=1",
    "evaluation.limit=60",
    "evaluation.max_new_tokens=16",
    "evaluation.bootstrap=20",
)


@pytest.fixture(scope="session")
def small_cache(tmp_path_factory):
    """A cache shared by the tests of a session, so that corpora and stores are made once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def small_data(small_cache):
    """Data of the small simulated corpora."""
    from anyecg import config
    from anyecg.tasks.build import build_data

    experiment = config.load("experiments/anyecg_chat.yaml", SMALL)
    return build_data(experiment.corpora, experiment.tasks, small_cache, experiment.tasks_seed, progress=False)
