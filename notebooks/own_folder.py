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
# # Training on a folder of your own
#
# Files in whatever formats they came in, a table with a row for each, and no code: a store, a trained model and a
# table with its controls. Where you have such a folder, skip the first cell and set `FOLDER`.

# %%
import os
from pathlib import Path

import numpy as np
import pandas as pd

import anyecg
from anyecg import config
from anyecg.checkpoints.export import export
from anyecg.cli.run import run
from anyecg.simulate import ecg

FOLDER = Path(os.environ.get("FOLDER", "my_ecgs"))
PATIENTS = int(os.environ.get("PATIENTS", "400"))
SCALE = float(os.environ.get("SCALE", "1"))  # share of the training below
TASKS = os.environ.get("TASKS", "report,classification")  # that are evaluated

# %% [markdown]
# ## A folder of mixed files
#
# Simulated hearts stand in for yours: some as CSV with a column of seconds, some as NumPy archives in microvolts, one
# lead missing here and there.

# %%
LEADS = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
FINDINGS = ["sinus_rhythm", "atrial_fibrillation", "left_bundle_branch_block", "left_ventricular_hypertrophy"]
if not (FOLDER / "records.csv").exists():
    FOLDER.mkdir(parents=True)
    rows = []
    for patient in range(PATIENTS):
        finding = FINDINGS[patient % len(FINDINGS)]
        signal, _, report = ecg([finding], seconds=10, fs=250, seed=patient)
        name = f"ecg{patient:04d}"
        if patient % 2:
            columns = {"time (s)": np.arange(signal.shape[1]) / 250} | dict(zip(LEADS[: 12 - patient % 3], signal))
            pd.DataFrame(columns).round(4).to_csv(FOLDER / f"{name}.csv", index=False)
            path = f"{name}.csv"
        else:
            np.savez_compressed(FOLDER / f"{name}.npz", signal=signal * 1000, fs=250.0, leads=LEADS, units="uV")
            path = f"{name}.npz"
        label = finding.replace("_", " ")
        rows.append({"path": path, "patient": f"p{patient}", "report": "; ".join(report), "labels": label})
    pd.DataFrame(rows).to_csv(FOLDER / "records.csv", index=False)
pd.read_csv(FOLDER / "records.csv").head()

# %% [markdown]
# ## Look at one before anything is trained
#
# What was assumed, mended or left out stands in `notes`.

# %%
record = anyecg.read_ecg(FOLDER / "ecg0001.csv")
print(record.leads, record.fs, record.signal.shape, record.notes)

# %% [markdown]
# ## Train and evaluate
#
# As `anyecg run experiments/own_folder.yaml data.mine=my_ecgs` does: reports of the recordings, patients split
# 80/10/10, and beside every metric what the model scores without the ECG and with another patient's. Recordings that
# cannot be read are skipped, and listed with the reason in the store's `skipped.csv`.

# %%
stages = {"language": 6400, "contrastive": 8000, "stage1": 3200, "tune": 6400}
settings = [
    f"data.mine={FOLDER}",
    f"evaluation.tasks=[{TASKS}]",
    "evaluation.max_new_tokens=64",
    "text_encoder=lexical",
    *(f"stages.{name}.samples={max(32, int(samples * SCALE) // 32 * 32)}" for name, samples in stages.items()),
]
experiment = config.load("experiments/own_folder.yaml", settings)
folder = run(experiment, "own_folder")
print((folder / "table.md").read_text())

# %% [markdown]
# ## Keep the model, and ask it

# %%
export(folder, "models/own_folder", overwrite=True)
model = anyecg.load("models/own_folder")
print(model.ask("Please provide the report for the following ECG.", [FOLDER / "ecg0001.csv"], max_new_tokens=64))
