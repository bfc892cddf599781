"""Language models behind one interface; the modeling code stays the library's."""

from anyecg.registry import Registry

llms = Registry(
    "llm",
    {
        "hf": "anyecg.llms.hf:HFLanguageModel",
        "llava": "anyecg.llms.llava:LlavaLlama",
        "smollm2": "anyecg.llms.smollm2:SmolLM2",
        "tiny": "anyecg.llms.tiny:TinyLlama",
        "tiny_family": "anyecg.llms.tiny_family:TinyFamily",
        "gpt2-medium": "anyecg.llms.backbones:GPT2Medium",
        "gpt2-large": "anyecg.llms.backbones:GPT2Large",
        "gpt-neo-1.3b": "anyecg.llms.backbones:GPTNeo1B",
        "gpt-neo-2.7b": "anyecg.llms.backbones:GPTNeo3B",
        "gpt-j-6b": "anyecg.llms.backbones:GPTJ",
        "gpt-neox-20b": "anyecg.llms.backbones:GPTNeoX",
        "bloom-7b1": "anyecg.llms.backbones:Bloom",
        "opt-6.7b": "anyecg.llms.backbones:OPT",
        "llama-7b": "anyecg.llms.backbones:Llama1",
        "llama-2-7b": "anyecg.llms.backbones:Llama2",
        "llama-2-13b-chat": "anyecg.llms.backbones:Llama2Chat13B",
        "llama-2-70b-chat": "anyecg.llms.backbones:Llama2Chat70B",
        "llama-3-8b-instruct": "anyecg.llms.backbones:Llama3",
        "mistral-7b": "anyecg.llms.backbones:Mistral",
        "mistral-7b-instruct": "anyecg.llms.backbones:MistralInstruct",
    },
)
