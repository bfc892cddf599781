"""anyecg: a research codebase for ECG language models (anyECG-chat, arXiv 2506.00942)."""

__version__ = "0.1.0"
