"""Fusions: how the ECGs reach the language model, one file a component."""

from anyecg.registry import Registry

fusions = Registry("fusion", {"tokens": "anyecg.fusion.tokens:Tokens", "cross": "anyecg.fusion.cross:Cross"})
