"""Counterfactual twins."""
