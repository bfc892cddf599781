"""ECG-QA."""
