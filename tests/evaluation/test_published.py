"""Published figures: the paper's table loads with its gaps, and nothing but a number or a gap passes."""

import pytest

from anyecg.evaluation.published import load
from anyecg.types import ConfigError

ROWS = ("default", "no_contrastive", "no_lead_emb", "no_dynamic_input", "full_tuning", "no_replay", "no_curriculum")


def test_the_papers_ablations_are_there():
    table = load()
    assert tuple(table.rows) == ROWS and "2506.00942" in table.source
    assert all(set(table[row]) == {"classification", "localization", "multi_ecg"} for row in ROWS)


def test_unknown_rows_tables_files_and_words_for_numbers_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="no_lead.*known: default"):
        load()["no_lead"]
    with pytest.raises(ConfigError, match="table9"):
        load("table9")
    with pytest.raises(ConfigError, match="missing.yaml"):
        load(path=tmp_path / "missing.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_text("source: s\ntables: {table8: {caption: c, rows: {default: {localization: good}}}}")
    with pytest.raises(ConfigError, match="table8.rows.default.localization"):
        load(path=bad)
