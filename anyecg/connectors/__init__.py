"""Connectors: encoder tokens to the LLM's embedding space, one file a component."""

from anyecg.registry import Registry

connectors = Registry(
    "connector",
    {
        "mlp": "anyecg.connectors.mlp:MLP",
        "linear": "anyecg.connectors.linear:Linear",
        "qformer": "anyecg.connectors.qformer:QFormer",
        "resampler": "anyecg.connectors.resampler:Resampler",
        "kv": "anyecg.connectors.kv:KV",
    },
)
