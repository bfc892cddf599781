"""Chapman-Shaoxing-Ningbo: 45,152 twelve-lead ECGs of ten seconds at 500 Hz with SNOMED CT codes."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import pandas as pd

from anyecg.codes import CONDITION_NAMES, CONDITIONS
from anyecg.data.corpora.base import Corpus
from anyecg.data.corpora.snomed import Snomed

COLUMNS = ("Acronym Name", "Full Name", "Snomed_CT")

# Published label sets of classification: the 51 classes of anyECG-chat's release, and the 38 of MERL (Liu et al. 2024),
# which other
# papers compare on (sinus bradycardia is none of those).
LABEL_SETS = {
    "anyecg_chat": (
        "SB SR AF ST TWC TWO SA AFIB STDD ALS APB STTC 1AVB AQW LVQRSAL ARS STE IDC SVT RBBB LVH QTIE ERV AT VPB AVB "
        "LBBB STTU CCR PWC "
        "UW MI VFW RVH CR 3AVB JEB WPW 2AVB VEB PRIE RAH 2AVB1 AVRT VPE JPT VET ABI FQRS VB WAVN"
    ).split(),
    "merl": (
        "AQW UW SR WPW 2AVB AT VB ARS STTC SA STE VPB TWO STTU ALS APB 2AVB1 PRIE CCR CR AF AVB QTIE LBBB VEB SVT "
        "RBBB 1AVB STDD MI "
        "AFIB TWC PWC ERV RVH LVH ST JEB"
    ).split(),
}

# Codes of the headers that the list above leaves out, as PhysioNet's 2021 challenge names them.
UNLISTED = {
    "233892002": "accelerated atrial escape rhythm",
    "251187003": "atrial escape beat",
    "61277005": "accelerated idioventricular rhythm",
    "426664006": "accelerated junctional rhythm",
    "57054005": "acute myocardial infarction",
    "54329005": "anterior myocardial infarction",
    "106068003": "atrial rhythm",
    "50799005": "atrioventricular dissociation",
    "29320008": "atrioventricular junctional rhythm",
    "251166008": "atrioventricular node reentrant tachycardia",
    "251170000": "blocked premature atrial contraction",
    "418818005": "Brugada syndrome",
    "61721007": "clockwise or counterclockwise vectorcardiographic loop",
    "426183003": "Mobitz type II atrioventricular block",
    "251120003": "incomplete left bundle branch block",
    "426648003": "junctional tachycardia",
    "67741000119109": "left atrial enlargement",
    "446813000": "left atrial hypertrophy",
    "445211001": "left posterior fascicular block",
    "55827005": "left ventricular high voltage",
    "251205003": "prolonged P wave",
    "425856008": "paroxysmal ventricular tachycardia",
    "67751000119106": "right atrial high voltage",
    "17366009": "sinus atrium to atrial wandering rhythm",
    "65778007": "sinoatrial block",
    "5609005": "sinus arrest",
    "49578007": "shortened PR interval",
    "77867006": "decreased QT interval",
    "55930002": "ST changes",
    "251223006": "tall P wave",
    "81898007": "ventricular escape rhythm",
    "164896001": "ventricular fibrillation",
    "111288001": "ventricular flutter",
    "6374002": "bundle branch block",
    "426627000": "bradycardia",
    "733534002": "complete left bundle branch block",
    "713427006": "complete right bundle branch block",
    "713426002": "incomplete right bundle branch block",
    "445118002": "left anterior fascicular block",
    "10370003": "pacing rhythm",
    "365413008": "poor R wave progression",
    "427172004": "premature ventricular contractions",
    "63593006": "supraventricular premature beats",
}


class CSN(Snomed):
    """Chapman-Shaoxing-Ningbo: 45,152 twelve-lead ECGs of ten seconds with SNOMED CT codes.

    As downloaded: ecg-arrhythmia 1.0.0 (`WFDBRecords/01/010/JS00001.{hea,mat}`), or the two folders of PhysioNet's 2021
    challenge that hold it.

    Labels are the codes of ConditionNames_SNOMED-CT.csv: of the root's own file, else of the same list kept here.
    Classification asks for a published set of them, each a code of its own (MERL finds a class's acronym inside
    another's, "AF" in "AFIB").
    """

    name: ClassVar[str] = "csn"
    layout: ClassVar[str] = "csn"
    records: ClassVar[re.Pattern[str]] = re.compile(r"JS\d+")
    unlisted: ClassVar[Mapping[str, str]] = UNLISTED

    @dataclass(frozen=True)
    class Config(Corpus.Config):
        """label_set: whose classes are asked for, "anyecg_chat" (51) or "merl" (38)."""

        label_set: Literal["anyecg_chat", "merl"] = "anyecg_chat"

    @cached_property
    def _conditions(self) -> pd.DataFrame:
        """acronym -> code and name, without the rows that name a code again."""
        own = (self.root / CONDITION_NAMES).is_file()
        table = self.table(CONDITION_NAMES, COLUMNS) if own else pd.read_csv(io.StringIO(CONDITIONS), dtype=str)
        table = table.dropna(subset=list(COLUMNS)).drop_duplicates("Snomed_CT").set_index("Acronym Name")
        return pd.DataFrame(
            {"code": table["Snomed_CT"].str.strip(), "name": table["Full Name"].str.split().str.join(" ")}
        )

    def published(self) -> Mapping[str, str]:
        return dict(zip(self._conditions["code"], self._conditions["name"]))

    def classes(self) -> Mapping[str, str]:
        known = self._conditions.loc[
            [acronym for acronym in LABEL_SETS[self.cfg.label_set] if acronym in self._conditions.index]
        ]
        return dict(zip(known["code"], known["name"]))

    def acronyms(self) -> Mapping[str, str]:
        return {code: acronym for acronym, code in self._conditions["code"].items()}
