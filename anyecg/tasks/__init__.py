"""Tasks: prompt, parser and metric in one file each."""

from anyecg.registry import Registry

tasks = Registry("task", {
    "report": "anyecg.tasks.report:Report",
    "localization": "anyecg.tasks.localization:Localization",
    "multi_ecg": "anyecg.tasks.multi_ecg:MultiECG",
    "ecg_qa": "anyecg.tasks.ecg_qa:ECGQA",
    "classification": "anyecg.tasks.classification:Classification",
})
