"""The knobs of question construction."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from anyecg.config.checks import Checks, meant
from anyecg.endpoint import EndpointConfig
from anyecg.types import ConfigError

POOLS = ("report", "localization_short", "localization_long", "multi_ecg", "classification", "ecg_qa")
FORMS = ("paraphrased", "template")  # of ECG-QA: its questions in many wordings, or in one each


@dataclass(frozen=True)
class QuestionsConfig:
    """What is asked of the recordings, and how often.

    pools: which kinds of question are made at all; report_corpora: whose reports are asked for (of PTB-XL only train
    and val: its test records are the classification task), empty for mimic, or ptbxl where mimic is not there;
    reports_per_record: questions an ECG; windows_per_record: positive localization questions for each record and
    each beat class it has, short and long alike; negatives_per_positive: "No <name> Found" questions;
    short_seconds, long_seconds: window lengths in s; localization_sizes: subset (one of Table 2's six, "mit_bih_arrhythmia"
    or "european_st_t_long" say) -> at most so many questions over all splits, all where it is not named;
    max_ecgs: ECGs of the longest MultiECG question;
    runs_per_patient, questions_per_run: how many series of ECGs of one patient are asked about, and how often;
    writer: the endpoint whose LLM writes the MultiECG questions (without a url they are made by rules);
    ecg_qa: corpus -> its folder of the ECG-QA release (such as ecgqa/ptbxl), or "simulated"; ecg_qa_share: how much of it
    is asked (the paper takes a tenth); ecg_qa_form: in which wording, "paraphrased" or "template".
    """

    KNOWN: ClassVar[tuple[str, ...]] = POOLS  # every kind of question there is

    pools: list[str] = field(default_factory=lambda: list(POOLS))
    report_corpora: list[str] = field(default_factory=list)
    reports_per_record: int = 1
    windows_per_record: int = 10
    negatives_per_positive: float = 1.0
    short_seconds: float = 10.0
    long_seconds: list[float] = field(default_factory=lambda: [10.0, 60.0])
    localization_sizes: dict[str, int] = field(default_factory=dict)
    max_ecgs: int = 6
    runs_per_patient: int = 2
    questions_per_run: int = 4
    writer: EndpointConfig = field(default_factory=EndpointConfig)
    ecg_qa: dict[str, str] = field(default_factory=dict)
    ecg_qa_share: float = 0.1
    ecg_qa_form: str = "paraphrased"

    def __post_init__(self) -> None:
        with Checks(self) as check:
            for pool in self.pools:
                if pool not in POOLS:
                    check.wrong("pools", f"no pool is called '{pool}'{meant(pool, POOLS)}")
            check.number("reports_per_record", "windows_per_record", "runs_per_patient", "questions_per_run", "negatives_per_positive", least=0)
            check.number("short_seconds", above=0)
            if len(self.long_seconds) != 2 or not 0 < self.long_seconds[0] <= self.long_seconds[1]:
                check.wrong("long_seconds", f"the shortest and the longest window in s, such as [10, 60], not {list(self.long_seconds)}")
            check.number("localization_sizes", least=0)
            check.number("max_ecgs", least=2, most=6)
            check.number("ecg_qa_share", above=0, most=1)
            check.among("ecg_qa_form", FORMS)


def check(cfg: QuestionsConfig) -> None:
    """ConfigError with every folder that is not there, one a line."""
    missing = [(corpus, root) for corpus, root in cfg.ecg_qa.items() if root != "simulated" and not Path(root).expanduser().is_dir()]
    if missing:
        raise ConfigError("\n".join(f"questions.ecg_qa.{corpus}: there is no folder {root}; set it to one of ECG-QA, such as ecgqa/ptbxl" for corpus, root in missing))
