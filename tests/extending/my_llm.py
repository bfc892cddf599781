"""An LLM of another family, with weights and tokenizer learned in the run."""

from transformers import Qwen2Config

from anyecg.llms.tiny import TinyConfig, TinyLlama


class TinyQwen(TinyLlama):
    """A Qwen2 of less than a million parameters."""

    Config = TinyConfig
    called = "tiny_qwen"

    @classmethod
    def sized(cls, cfg: TinyConfig, vocab: int) -> Qwen2Config:
        return Qwen2Config(
            vocab_size=vocab,
            hidden_size=cfg.dim,
            num_hidden_layers=cfg.layers,
            num_attention_heads=cfg.heads,
            num_key_value_heads=cfg.heads,
            intermediate_size=cfg.mlp,
            max_position_embeddings=cfg.context,
            tie_word_embeddings=True,
            initializer_range=0.05,
            attn_implementation="sdpa",
        )
