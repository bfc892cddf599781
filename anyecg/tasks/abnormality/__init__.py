"""Which abnormalities of a list an ECG shows."""
