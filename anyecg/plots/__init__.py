"""ECG paper: traces and pages."""
