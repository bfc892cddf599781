"""CPSC2018: 6,877 twelve-lead ECGs of 6 to 60 seconds at 500 Hz, each of one or more of nine classes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from anyecg.data.corpora.base import Corpus
from anyecg.data.corpora.snomed import Snomed

CLASSES = {
    "426783006": "normal sinus rhythm",
    "164889003": "atrial fibrillation",
    "270492004": "first-degree AV block",
    "164909002": "left bundle branch block",
    "59118001": "right bundle branch block",
    "284470004": "premature atrial contraction",
    "164884008": "premature ventricular contraction",
    "429622005": "ST depression",
    "164931005": "ST elevation",
}

# The same classes as anyECG-chat's release names them in classification.
LABELS = dict(
    zip(
        CLASSES,
        (
            "Normal",
            "Atrial fibrillation",
            "First-degree atrioventricular block",
            "Left bundle branch block",
            "Right bundle branch block",
            "Premature atrial contraction",
            "Premature ventricular contraction",
            "ST-segment depression",
            "ST-segment elevated",
        ),
        strict=True,
    )
)

ACRONYMS = dict(zip(CLASSES, ("NORM", "AF", "I-AVB", "LBBB", "RBBB", "PAC", "PVC", "STD", "STE"), strict=True))


class CPSC2018(Snomed):
    """The China Physiological Signal Challenge 2018 as PhysioNet's challenges of 2020 and 2021 released it.

    `training/cpsc_2018/g1/A0001.{hea,mat}` or `Training_WFDB/A0001.{hea,mat}`; its nine classes are those of the
    benchmarks.
    """

    name: ClassVar[str] = "cpsc2018"
    layout: ClassVar[str] = "cpsc2018"
    records: ClassVar[re.Pattern[str]] = re.compile(r"A\d+")

    @dataclass(frozen=True)
    class Config(Corpus.Config):
        pass

    def published(self) -> Mapping[str, str]:
        return CLASSES

    def classes(self) -> Mapping[str, str]:
        return LABELS

    def acronyms(self) -> Mapping[str, str]:
        return ACRONYMS
