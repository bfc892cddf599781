"""docs/paper_map.md names files that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_path_of_the_map_exists():
    named = set(
        re.findall(r"`((?:anyecg|experiments)/[\w./]+\.(?:py|yaml))`", (ROOT / "docs" / "paper_map.md").read_text())
    )
    assert len(named) > 25 and not [path for path in sorted(named) if not (ROOT / path).is_file()]
