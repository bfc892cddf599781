"""G12EC: 10,344 twelve-lead ECGs of up to ten seconds at 500 Hz from Georgia, with SNOMED CT codes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from anyecg.data.corpora.base import Corpus
from anyecg.data.corpora.snomed import Snomed

CLASSES = {  # the diagnoses that PhysioNet's challenge of 2021 scores
    "164889003": "atrial fibrillation",
    "164890007": "atrial flutter",
    "6374002": "bundle branch block",
    "426627000": "bradycardia",
    "733534002": "complete left bundle branch block",
    "713427006": "complete right bundle branch block",
    "270492004": "first-degree AV block",
    "713426002": "incomplete right bundle branch block",
    "39732003": "left axis deviation",
    "445118002": "left anterior fascicular block",
    "164909002": "left bundle branch block",
    "251146004": "low QRS voltages",
    "698252002": "nonspecific intraventricular conduction disorder",
    "426783006": "sinus rhythm",
    "284470004": "premature atrial contraction",
    "10370003": "pacing rhythm",
    "365413008": "poor R wave progression",
    "427172004": "premature ventricular contractions",
    "164947007": "prolonged PR interval",
    "111975006": "prolonged QT interval",
    "164917005": "abnormal Q wave",
    "47665007": "right axis deviation",
    "59118001": "right bundle branch block",
    "427393009": "sinus arrhythmia",
    "426177001": "sinus bradycardia",
    "427084000": "sinus tachycardia",
    "63593006": "supraventricular premature beats",
    "164934002": "T wave abnormality",
    "59931005": "T wave inversion",
    "17338001": "ventricular premature beats",
}
ACRONYMS = dict(  # as the challenge abbreviates them
    zip(
        CLASSES,
        (
            "AF AFL BBB Brady CLBBB CRBBB IAVB IRBBB LAD LAnFB LBBB LQRSV NSIVCB NSR PAC PR PRWP PVC LPR LQT QAb RAD "
            "RBBB SA SB STach SVPB TAb TInv VPB"
        ).split(),
        strict=True,
    )
)
UNLISTED = {  # others that its headers give
    "425623009": "lateral ischemia",
    "425419005": "inferior ischemia",
    "426434006": "anterior ischemia",
    "413844008": "chronic myocardial ischemia",
    "164861001": "myocardial ischemia",
    "164865005": "myocardial infarction",
    "54329005": "anterior myocardial infarction",
    "164873001": "left ventricular hypertrophy",
    "89792004": "right ventricular hypertrophy",
    "55827005": "left ventricular high voltage",
    "370365005": "left ventricular strain",
    "67741000119109": "left atrial enlargement",
    "446358003": "right atrial hypertrophy",
    "164931005": "ST elevation",
    "429622005": "ST depression",
    "164930006": "ST interval abnormality",
    "428750005": "nonspecific ST-T abnormality",
    "428417006": "early repolarization",
    "195042002": "second-degree AV block",
    "27885002": "complete heart block",
    "233917008": "AV block",
    "445211001": "left posterior fascicular block",
    "251120003": "incomplete left bundle branch block",
    "713422000": "atrial tachycardia",
    "426761007": "supraventricular tachycardia",
    "195080001": "atrial fibrillation and flutter",
    "426995002": "junctional escape",
    "29320008": "atrioventricular junctional rhythm",
    "426648003": "junctional tachycardia",
    "74390002": "Wolff-Parkinson-White syndrome",
    "195060002": "ventricular pre-excitation",
    "11157007": "ventricular bigeminy",
    "251180001": "ventricular trigeminy",
    "164912004": "P wave change",
    "164921003": "R wave abnormality",
    "164937009": "U wave abnormality",
    "164951009": "abnormal QRS",
}


class G12EC(Snomed):
    """Georgia's ECGs as PhysioNet's challenges of 2020 and 2021 released them (PULSE's test set of multiple choice).

    `training/georgia/g1/E00001.{hea,mat}`, or all records in one folder.
    """

    name: ClassVar[str] = "g12ec"
    layout: ClassVar[str] = "g12ec"
    records: ClassVar[re.Pattern[str]] = re.compile(r"E\d{5}")
    unlisted: ClassVar[Mapping[str, str]] = UNLISTED

    @dataclass(frozen=True)
    class Config(Corpus.Config):
        pass

    def published(self) -> Mapping[str, str]:
        return CLASSES

    def acronyms(self) -> Mapping[str, str]:
        return ACRONYMS
