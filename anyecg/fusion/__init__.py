"""Fusions: how the ECGs reach the language model, one file a component."""

from anyecg.registry import Registry

fusions = Registry(
    "fusion",
    {
        "tokens": "anyecg.fusion.tokens:Tokens",
        "llava": "anyecg.fusion.llava:LLaVA",
        "cross": "anyecg.fusion.cross:Cross",
        "kv": "anyecg.fusion.kv:KV",
    },
)
