"""The chat page: a conversation about one's own ECGs beside their trace; all but `page` knows nothing of Gradio."""
