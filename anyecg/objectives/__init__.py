"""What a stage minimises, one file an objective: its batches, its loss, what its outcome depends on, what it costs."""

from anyecg.registry import Registry

objectives = Registry(
    "objective",
    {
        "answer": "anyecg.objectives.answer:Answer",
        "contrastive": "anyecg.objectives.contrastive:Contrastive",
        "grpo": "anyecg.objectives.grpo:GRPO",
        "masked": "anyecg.objectives.masked:Masked",
        "spans": "anyecg.objectives.spans:Spans",
        "masked_pairs": "anyecg.objectives.masked_pairs:MaskedPairs",
    },
)
