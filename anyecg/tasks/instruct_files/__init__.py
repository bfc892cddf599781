"""Questions of released instruction files (ECGInstruct, ECGBench, ECG-Grounding, ECG-R1), asked of the recordings."""
