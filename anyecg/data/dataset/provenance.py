"""Where a dataset's recordings and questions come from: what is published, under which licence, or that it was
simulated.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from anyecg.data.dataset.licences import LICENCES, SOURCES
from anyecg.files import SIMULATED


def origin(name: str, simulated: Mapping | None = None) -> dict:
    """title, version, licence, page and cite of a source as plain data (`anyecg.data.dataset.licences`), and how it
    was simulated, or None.
    """
    known = SOURCES.get(name)
    published = {part: getattr(known, part) if known else "" for part in ("title", "version", "licence", "page")}
    return {
        **published,
        "title": published["title"] or name,
        "cite": list(known.cite) if known else [],
        "simulated": simulated,
    }


def simulation(root: Path) -> dict | None:
    """How the corpus at a root was simulated (patients, seed, seconds); None where it was not."""
    try:
        mark = json.loads((root / SIMULATED).read_text())
    except FileNotFoundError:
        return None
    return {name: mark[name] for name in ("patients", "seed", "seconds")}


def told(name: str, found: Mapping | None) -> Iterator[str]:
    """An origin as markdown, a list item and its sub-items."""
    if found is None:
        yield f"- **{name}**: not recorded"
        return
    title, simulated = f"{found['title']} {found['version']}".strip(), found["simulated"]
    if simulated is not None:
        settings = ", ".join(f"{what} {value}" for what, value in simulated.items() if value is not None)
        yield (
            f"- **{name}**: simulated by anyecg{f' ({settings})' if settings else ''} in the layout of {title}; "
            f"nothing of it is real"
        )
        return
    licence = found["licence"]
    asks = f"licence {licence} ({LICENCES[licence]})" if licence in LICENCES else "its licence is not known to anyecg"
    yield "; ".join(filter(None, (f"- **{name}**: {title}", asks, found["page"])))
    yield from (f"  - cite: {reference}" for reference in found["cite"])
