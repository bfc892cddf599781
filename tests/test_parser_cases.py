"""Answers that were labelled by hand before a parser saw them: none is read as something else, few not at all."""

import pytest

from tests.parser_cases import CASES, files, verdict

TABLES = [(name, path) for name in CASES for path in files(name)]


@pytest.mark.parametrize(("name", "path"), TABLES, ids=lambda value: getattr(value, "stem", value))
def test_labelled_answers_are_read_as_labelled_or_not_at_all(name, path):
    verdicts = [(verdict(label, found), answer, label, found) for answer, label, found in CASES[name](path)]
    assert [row for row in verdicts if row[0] == "silently wrong"] == []
    assert sum(row[0] == "unread" for row in verdicts) < len(verdicts) / 10
