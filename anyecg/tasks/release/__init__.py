"""The released JSON format of the anyECG dataset: its rows, to questions and back, and a check of its answers
against the sources.
"""
