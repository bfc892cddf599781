"""What a causal LM must be to be used here, checked when it is loaded: anything else would answer wrongly, or fail
after training.
"""

from __future__ import annotations

from transformers import PreTrainedModel

from anyecg.llms.chat import Chat
from anyecg.types import ConfigError, Turn

TURNS = [Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c"), Turn("assistant", "d")]


def check_model(model: PreTrainedModel, name: str) -> None:
    """ConfigError for a model whose logits are not those of one output matrix over a body that takes embeddings
    alone.
    """
    config, body, head = model.config.get_text_config(), model.base_model, model.get_output_embeddings()
    family = f"{name} (family '{config.model_type}')"
    if body is model or head is None:
        raise ConfigError(f"llm: {family} cannot be used: transformers does not name its body and its head apart")
    if getattr(config, "hidden_size_per_layer_input", None):
        raise ConfigError(
            f"llm: {family} cannot be used: each of its layers embeds token ids anew, and an ECG has none"
        )
    known = {id(parameter) for part in (body, head) for parameter in part.parameters()}
    if more := [key for key, parameter in model.named_parameters() if id(parameter) not in known]:
        raise ConfigError(
            f"llm: {family} cannot be used: it computes more than one product between its body and its logits "
            f"({', '.join(more)})"
        )


def check_template(model: PreTrainedModel, chat: Chat, name: str) -> None:
    """ConfigError where a conversation has tokens that the embedding has no row for."""
    rows = model.get_input_embeddings().num_embeddings
    beyond = sorted({id for segment in chat.segments(TURNS) for id in segment.ids if id >= rows})
    if beyond:
        tokens = ", ".join(f"{chat.tokenizer.convert_ids_to_tokens(id)!r} ({id})" for id in beyond)
        raise ConfigError(
            f"llm: the chat template of {name} uses tokens that its embedding of {rows:,} rows has no row for: "
            f"{tokens}; "
            "set llm.chat: plain, or give the folder of the model that the tokenizer belongs to"
        )


def filler(model: PreTrainedModel, ids: list[int | None]) -> int:
    """The first of these token ids that has an embedding: what a row is fed behind its end. ids: the pad token, then
    those that end an answer.
    """
    rows = model.get_input_embeddings().num_embeddings
    return next((id for id in ids if id is not None and id < rows), 0)
