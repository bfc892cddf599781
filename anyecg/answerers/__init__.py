"""Whatever answers questions: a language model, a prior."""
