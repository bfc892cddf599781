"""Sources whose twelve-lead records are WFDB headers with SNOMED CT codes, each beside a MATLAB v4 signal file."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from anyecg.data.corpora.base import Corpus, Entry, log, split_by_patient

DIAGNOSES = re.compile(r"^#\s*dx\s*:(.*)$", re.IGNORECASE | re.MULTILINE)
SEPARATORS = re.compile(r"[\s,;]+")
UNSAID = {"", "unknown", "nan", "none"}  # what stands in a header that names no diagnosis


class Snomed(Corpus):
    """Records anywhere under the root: whole release, one of its folders, or all records in one flat folder.

    There are no patient ids: a patient is a record, and records are split 80/10/10 by a seeded hash. A record's labels
    are its header's codes that the source publishes; its statements name every code that has a name.

    records: what a record of the source is called (other sources may lie under the same root);
    unlisted: codes that occur in headers though the source's list leaves them out, and their names.
    """

    records: ClassVar[re.Pattern[str]]
    reserved: ClassVar[tuple[str, ...]] = ("test",)
    unlisted: ClassVar[Mapping[str, str]] = {}

    @property
    def reports(self) -> str:
        return "codes"

    def published(self) -> Mapping[str, str]:
        """SNOMED CT code -> English name, of the source's own list."""
        raise NotImplementedError

    def classes(self) -> Mapping[str, str]:
        """The published codes and names that classification asks for."""
        return self.published()

    def acronyms(self) -> Mapping[str, str]:
        """SNOMED CT code of a class -> its acronym in benchmarks."""
        return {}

    def info(self) -> Mapping:
        """{"labels": {the corpus: {code: name}}, "statements": {code: name}, "acronyms": {code: acronym}}: one label
        set, called as the corpus.
        """
        return {
            "labels": {self.name: dict(self.classes())},
            "statements": dict(self.published()),
            "acronyms": dict(self.acronyms()),
        }

    def entries(self) -> Iterator[Entry]:
        """One entry a record name, by name; of two records of one name the first by path is taken, and a warning
        counts them.
        """
        paths = self._paths()
        splits = split_by_patient(paths, (0.8, 0.1, 0.1), self.cfg.seed)
        return self.limited(self._read_headers(paths, splits))

    def _read_headers(self, paths: Mapping[str, str], splits: Mapping[str, str]) -> Iterator[Entry]:
        published = self.published()
        names = {code: name[:1].upper() + name[1:] for code, name in {**self.unlisted, **published}.items()}
        told: dict[
            str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
        ] = {}  # headers say few different things
        nameless: Counter[str] = Counter()
        for name in sorted(paths):
            said = _diagnoses(self.root / f"{paths[name]}.hea")
            if said not in told:
                codes = [code for code in dict.fromkeys(SEPARATORS.split(said)) if code.lower() not in UNSAID]
                told[said] = (
                    tuple(dict.fromkeys(names[code] for code in codes if code in names)),
                    tuple(code for code in codes if code in published),
                    tuple(code for code in codes if code not in names),
                )
            statements, labels, unknown = told[said]
            nameless.update(unknown)
            yield Entry(name, paths[name], name, splits[name], statements=statements, labels=labels)
        if nameless:
            log.warning(
                "corpus %s: %d times a header under %s gives a code that has no known name and is left out: %s",
                self.key,
                nameless.total(),
                self.root,
                ", ".join(code for code, _ in nameless.most_common(10)),
            )

    def _paths(self) -> dict[str, str]:
        """Record name -> its path below the root without extension, of every header and every signal file."""
        paths: dict[str, str] = {}
        twice: list[str] = []
        for folder, folders, files in os.walk(self.root):
            folders.sort()
            stems = {stem for stem, extension in map(os.path.splitext, files) if extension in (".hea", ".mat")}
            for name in sorted(filter(self.records.fullmatch, stems)):
                path = (Path(folder).relative_to(self.root) / name).as_posix()
                if paths.setdefault(name, path) != path:
                    twice.append(path)
        if twice:
            log.warning(
                "corpus %s: %d record(s) under %s left out, as another folder has a record of the same name: %s",
                self.key,
                len(twice),
                self.root,
                ", ".join(twice[:3]) + (", ..." if len(twice) > 3 else ""),
            )
        return paths

    def files(self, entry: Entry) -> list[Path]:
        return [Path(f"{self.root / entry.path}{suffix}") for suffix in (".hea", ".mat")]


def _diagnoses(header: Path) -> str:
    """What a header's Dx lines say; "" where it has none or cannot be read (reading its signal then says why)."""
    try:
        text = header.read_text(errors="replace")
    except OSError:
        return ""
    return ",".join(said.strip() for said in DIAGNOSES.findall(text))
