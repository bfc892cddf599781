"""A model on disk: exported, loaded, in other projects' released layouts, and its card."""
