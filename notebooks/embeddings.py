# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Embeddings and zero-shot labels from a trained encoder
#
# An encoder is trained by its contrastive stage alone, on ECGs and their reports; then it gives a vector for any ECG,
# and ranks labels that it never saw as labels. Here everything is simulated, and takes some minutes on two cores.
# `jupytext --to notebook notebooks/embeddings.py` makes a notebook of this file.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import anyecg
from anyecg import config
from anyecg.checkpoints.export import export
from anyecg.cli.run import run
from anyecg.simulate import ecg

PATIENTS = int(os.environ.get("PATIENTS", "800"))  # of either corpus
SAMPLES = int(os.environ.get("SAMPLES", "16000"))  # pairs of ECG and report that the encoder sees
HEARTS = int(os.environ.get("HEARTS", "40"))  # of each finding, to look at

# %% [markdown]
# ## Train an encoder
#
# As `anyecg run experiments/baselines/ranker.yaml` does. With PTB-XL at hand, add `corpora.ptbxl.root=/data/ptbxl`. A
# second call finds the stage in `runs/cache` and trains nothing.

# %%
settings = [
    f"corpora.mimic.patients={PATIENTS}",
    f"corpora.ptbxl.patients={PATIENTS}",
    *(f"corpora.{name}=null" for name in ("mit_bih_arrhythmia", "mit_bih_st", "european_st_t")),
    "tasks.localization=null",
    "tasks.multi_ecg=null",
    f"stages.contrastive.samples={SAMPLES}",
    "evaluation.tasks=[classification]",
    "text_encoder=lexical",  # needs no weights; text_encoder=sentence is MiniLM, of the extra [smollm2]
]
folder = run(config.load("experiments/baselines/ranker.yaml", settings), "notebook_encoder")
export(folder, "models/notebook_encoder", overwrite=True)
model = anyecg.load("models/notebook_encoder")
model

# %% [markdown]
# ## Vectors
#
# `embed` takes files, records or arrays; what they do not say is given once. Here: forty hearts with each of four
# findings, which the encoder has not seen.

# %%
FINDINGS = {
    "sinus_rhythm": "sinus rhythm",
    "atrial_fibrillation": "atrial fibrillation",
    "left_bundle_branch_block": "left bundle branch block",
    "premature_ventricular_contraction": "premature ventricular contraction",
}
truth = [finding for finding in FINDINGS for _ in range(HEARTS)]
signals = [ecg([finding], seconds=10, fs=500, seed=100_000 + number)[0] for number, finding in enumerate(truth)]
leads = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
vectors = model.embed(signals, fs=500, leads=leads)
vectors.shape

# %%
plane = PCA(2).fit_transform(vectors)
figure, axes = plt.subplots(figsize=(6, 4))
for finding, name in FINDINGS.items():
    chosen = np.array(truth) == finding
    axes.scatter(*plane[chosen].T, s=12, label=name)
axes.legend()
axes.set_title("Simulated hearts, two components of their vectors")
figure.savefig("embeddings.png", dpi=120)

# %% [markdown]
# ## Labels without training on labels
#
# `classify` gives the cosine between an ECG and what stands for a label. It is no probability: within a column it
# orders ECGs, which an AUC measures.

# %%
scores = model.classify(signals, FINDINGS, fs=500, leads=leads)
zero_shot = {name: roc_auc_score([one == name for one in truth], scores[name]) for name in FINDINGS}

# %% [markdown]
# ## With a few labels
#
# A logistic regression on the vectors of half of the hearts, measured on the others, and the same on vectors of noise:
# what the encoder adds.

# %%
half = np.arange(len(truth)) % 2 == 0
labels = np.array(truth)


def probed(features):
    """AUC of each finding on the second half."""
    learnt = LogisticRegression(max_iter=1000).fit(features[half], labels[half])
    found = learnt.predict_proba(features[~half])
    return {name: roc_auc_score(labels[~half] == name, found[:, at]) for at, name in enumerate(learnt.classes_)}


noise = np.random.default_rng(0).normal(size=vectors.shape)
table = pd.DataFrame({"zero-shot": zero_shot, "linear probe": probed(vectors), "probe of noise": probed(noise)})
print(table.round(3))
