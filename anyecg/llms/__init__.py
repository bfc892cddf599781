"""Language models behind one interface; the modeling code stays the library's."""

from anyecg.registry import Registry

llms = Registry(
    "llm",
    {
        "hf": "anyecg.llms.hf:HFLanguageModel",
        "llava": "anyecg.llms.llava:LlavaLlama",
        "smollm2": "anyecg.llms.smollm2:SmolLM2",
        "tiny": "anyecg.llms.tiny:TinyLlama",
    },
)
