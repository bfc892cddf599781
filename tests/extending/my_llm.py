"""An LLM of another family, with weights and tokenizer learned in the run."""

from collections.abc import Callable, Iterable
from pathlib import Path

from transformers import Qwen2Config, Qwen2ForCausalLM

from anyecg.llms.base import LanguageModel
from anyecg.llms.tiny import TinyConfig, TinyLlama, train_tokenizer


class TinyQwen(TinyLlama):
    """A Qwen2 of less than a million parameters."""

    Config = TinyConfig

    def __init__(self, cfg: TinyConfig, texts: Callable[[], Iterable[str]], cache: Path | None = None) -> None:
        tokenizer = train_tokenizer(texts(), cfg.vocab, cfg.context)
        config = self.architecture(cfg, vocab=len(tokenizer))
        config.pad_token_id, config.eos_token_id = tokenizer.pad_token_id, tokenizer.eos_token_id
        LanguageModel.__init__(self, cfg, Qwen2ForCausalLM(config), tokenizer, "tiny_qwen")

    @classmethod
    def architecture(cls, cfg: TinyConfig, cache: Path | None = None, vocab: int | None = None) -> Qwen2Config:
        return Qwen2Config(
            vocab_size=vocab or cfg.vocab,
            hidden_size=cfg.dim,
            num_hidden_layers=cfg.layers,
            num_attention_heads=cfg.heads,
            num_key_value_heads=cfg.heads,
            intermediate_size=cfg.mlp,
            max_position_embeddings=cfg.context,
            tie_word_embeddings=True,
            initializer_range=0.05,
            attn_implementation="sdpa",
            name_or_path="tiny_qwen",
        )
