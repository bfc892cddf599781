"""Step-wise reasoning about an ECG."""
