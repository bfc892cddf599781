"""Frozen text encoders: the other side of contrastive pre-training, and the ruler of classification."""

from anyecg.registry import Registry

text_encoders = Registry(
    "text_encoder",
    {
        "sentence": "anyecg.text_encoders.sentence:SentenceEncoder",
        "lexical": "anyecg.text_encoders.lexical:LexicalEncoder",
    },
)
