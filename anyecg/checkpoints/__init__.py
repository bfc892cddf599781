"""A model on disk: exported, loaded, in other projects' released layouts, and its card."""

from anyecg.checkpoints.load import load_model, load_session

__all__ = ["load_model", "load_session"]
