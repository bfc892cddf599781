"""The knobs of question construction."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

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


def check(cfg: QuestionsConfig) -> None:
    """ConfigError with every knob that cannot be meant, one a line."""
    wrong = [f"questions.pools: no pool is called '{pool}' (known: {', '.join(POOLS)})" for pool in cfg.pools if pool not in POOLS]
    if not 0 < cfg.short_seconds:
        wrong.append(f"questions.short_seconds: a window of {cfg.short_seconds} s holds no signal")
    if len(cfg.long_seconds) != 2 or not 0 < cfg.long_seconds[0] <= cfg.long_seconds[1]:
        wrong.append(f"questions.long_seconds: the shortest and the longest window in s, such as [10, 60], not {list(cfg.long_seconds)}")
    wrong += [f"questions.localization_sizes.{subset}: {size} questions; give 0 or more" for subset, size in cfg.localization_sizes.items() if size < 0]
    if not 2 <= cfg.max_ecgs <= 6:
        wrong.append(f"questions.max_ecgs: from 2 to 6 ECGs, not {cfg.max_ecgs}")
    if cfg.negatives_per_positive < 0:
        wrong.append(f"questions.negatives_per_positive: {cfg.negatives_per_positive} is negative")
    for corpus, root in cfg.ecg_qa.items():
        if root != "simulated" and not Path(root).expanduser().is_dir():
            wrong.append(f"questions.ecg_qa.{corpus}: there is no folder {root}; set it to one of ECG-QA, such as ecgqa/ptbxl")
    if not 0 < cfg.ecg_qa_share <= 1:
        wrong.append(f"questions.ecg_qa_share: a share above 0 and up to 1, not {cfg.ecg_qa_share}")
    if cfg.ecg_qa_form not in FORMS:
        wrong.append(f"questions.ecg_qa_form: {' or '.join(FORMS)}, not '{cfg.ecg_qa_form}'")
    if wrong:
        raise ConfigError("\n".join(wrong))
