"""Hooks of mkdocs: the README is the first page, the reference of keys and the notebooks' pages are generated, links
out of docs/ stay whole.
"""

from __future__ import annotations

import re
from pathlib import Path

import jupytext
from mkdocs.structure.files import File, Files

from anyecg.config.reference import reference

ROOT = Path(__file__).parent.parent


def on_files(files: Files, config) -> Files:
    """Add the pages that are not kept in docs/."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "index.md", content=re.sub(r"\]\(docs/", "](", readme)))
    files.append(File.generated(config, "keys.md", content=reference()))
    for path in sorted((ROOT / "notebooks").glob("*.py")):
        page = jupytext.writes(jupytext.read(path), "md")
        page = re.sub(r"\A---\n.*?\n---\n", "", page, flags=re.DOTALL)  # jupytext's own header
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=page))
    return files


def on_page_markdown(markdown: str, **_) -> str:
    """A link to a file of the repository outside docs/ becomes its text and path; one to a file that is not there
    stays, and fails.
    """

    def outside(match: re.Match) -> str:
        path = match[2].removeprefix("../")
        there = (ROOT / path).exists() and not (ROOT / "docs" / path).exists()
        return f"{match[1]} (`{path}`)" if there else match[0]

    return re.sub(r"(?<!!)\[([^\]]*)\]\(((?:\.\./)?[\w./-]+)\)", outside, markdown)
