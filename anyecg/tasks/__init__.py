"""Tasks: prompt, parser and metric in one file each."""

from anyecg.registry import Registry

tasks = Registry(
    "task",
    {
        "report": "anyecg.tasks.report.task:Report",
        "ecg_instruct": "anyecg.tasks.ecg_instruct.task:ECGInstruct",
        "instruct_files": "anyecg.tasks.instruct_files.task:InstructFiles",
        "localization": "anyecg.tasks.localization.task:Localization",
        "multi_ecg": "anyecg.tasks.multi_ecg.task:MultiECG",
        "ecg_qa": "anyecg.tasks.ecg_qa.task:ECGQA",
        "twins": "anyecg.tasks.twins.task:Twins",
        "measure": "anyecg.tasks.measure.task:Measure",
        "reasoning": "anyecg.tasks.reasoning.task:Reasoning",
        "abnormality": "anyecg.tasks.abnormality.task:Abnormality",
        "multiple_choice": "anyecg.tasks.choice.task:MultipleChoice",
        "classification": "anyecg.tasks.classification.task:Classification",
    },
)
