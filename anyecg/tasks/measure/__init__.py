"""Measurements of an ECG: heart rate, intervals, axes, amplitudes."""
