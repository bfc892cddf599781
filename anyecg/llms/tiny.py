"""A Llama of a few million parameters whose tokenizer and weights are learned within the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, LlamaConfig, PretrainedConfig, PreTrainedTokenizerFast

from anyecg.config.checks import Checks
from anyecg.llms.base import LanguageModel, LLMConfig
from anyecg.llms.chat import Chat
from anyecg.types import ConfigError

PAD, BOS, EOS, USER, ASSISTANT = "<pad>", "<bos>", "<eos>", "<user>", "<assistant>"
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role == 'user' %}<user>{{ message.content }}{% else %}<assistant>{{ message.content }}{{ eos_token "
    "}}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
# Tenths with their unit (".7s") are one piece, other digits stand alone and a space goes to the word before them:
# "from 12.7s" is "from ", "1", "2", ".7s", so the tens of a time name a 10 s clip and the ones a place in it.
PIECES = r"\.\d(?:s\b)?|\d| ?\p{L}+(?: (?=\d))?| ?[^\s\p{L}\d]+(?: (?=\d))?|\s+"

SMALLEST = 256 + 5  # vocabulary: every byte, and the special tokens


@dataclass(frozen=True)
class TinyConfig(LLMConfig):
    dim: int = 192  # size of an embedding
    layers: int = 4  # transformer blocks
    heads: int = 4  # of an attention
    mlp: int = 512  # width of the hidden layer of an MLP
    vocab: int = 2048  # tokens at most
    context: int = 1024  # tokens it can attend to

    def checks(self, check: Checks) -> None:
        super().checks(check)
        check.number("dim", "layers", "heads", "mlp", "context", least=1)
        check.number("vocab", least=SMALLEST)
        if self.heads > 0 and self.dim % (2 * self.heads):
            check.wrong("dim", f"{self.dim} is not a multiple of twice heads: {self.heads}")


class TinyLlama(LanguageModel):
    """A Llama of about 2 M parameters, its tokenizer and weights trained within the run on the corpora's texts."""

    Config = TinyConfig
    trained_in_run = True
    called = "tiny"

    def __init__(
        self, cfg: TinyConfig, texts: Callable[[], Iterable[str]] | None = None, cache: Path | None = None
    ) -> None:
        if texts is None:
            raise ConfigError(
                f"llm: {self.called} learns its tokenizer from the run's texts and none are given; "
                "to use one that a run has trained, set llm=hf and llm.path to its folder"
            )
        tokenizer = train_tokenizer(texts(), cfg.vocab, cfg.context)
        config = self.sized(cfg, len(tokenizer))
        config.pad_token_id, config.bos_token_id, config.eos_token_id = (
            tokenizer.pad_token_id,
            tokenizer.bos_token_id,
            tokenizer.eos_token_id,
        )
        # not `from_config`, which under ZeRO-3 draws each process's part of a tensor by itself: other weights
        super().__init__(cfg, MODEL_FOR_CAUSAL_LM_MAPPING[type(config)](config), tokenizer, self.called)

    @classmethod
    def sized(cls, cfg: Any, vocab: int) -> PretrainedConfig:
        """The library's config of these sizes."""
        return LlamaConfig(
            vocab_size=vocab,
            hidden_size=cfg.dim,
            num_hidden_layers=cfg.layers,
            num_attention_heads=cfg.heads,
            intermediate_size=cfg.mlp,
            max_position_embeddings=cfg.context,
            tie_word_embeddings=True,
            initializer_range=0.7 * cfg.dim**-0.5,  # the library's 0.02 suits widths of thousands
            attn_implementation="sdpa",
        )

    @classmethod
    def reader(cls, cfg: TinyConfig, texts: Callable[[], Iterable[str]], cache: Path) -> tuple[Chat, int]:
        return Chat(train_tokenizer(texts(), cfg.vocab, cfg.context), cfg.chat), cfg.context

    @classmethod
    def architecture(cls, cfg: Any, cache: Path | None = None) -> PretrainedConfig:
        """With as many tokens as the tokenizer may have: few texts give fewer."""
        config = cls.sized(cfg, cfg.vocab)
        config.name_or_path, config.dtype = cls.called, torch.float32
        return config


def train_tokenizer(texts: Iterable[str], vocab: int, context: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE of at most `vocab` tokens with a chat template; the same texts give the same tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[AddedToken(token, special=True) for token in (PAD, BOS, EOS, USER, ASSISTANT)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        extra_special_tokens=[USER, ASSISTANT],
        chat_template=TEMPLATE,
        model_max_length=context,
    )
