"""The knobs of question construction."""

from __future__ import annotations

from dataclasses import dataclass, field

from anyecg.types import ConfigError

POOLS = ("report", "localization_short", "localization_long", "multi_ecg", "classification")


@dataclass(frozen=True)
class QuestionsConfig:
    """What is asked of the recordings, and how often.

    pools: which kinds of question are made at all; report_corpora: whose reports are asked for (of PTB-XL only train
    and val: its test records are the classification task), empty for mimic, or ptbxl where mimic is not there;
    reports_per_record: questions an ECG; windows_per_record: positive localization questions for each record and
    each beat class it has, short and long alike; negatives_per_positive: "No <name> Found" questions;
    short_seconds, long_seconds: window lengths in s; max_ecgs: ECGs of the longest MultiECG question;
    runs_per_patient, questions_per_run: how many series of ECGs of one patient are asked about, and how often.
    """

    pools: list[str] = field(default_factory=lambda: list(POOLS))
    report_corpora: list[str] = field(default_factory=list)
    reports_per_record: int = 1
    windows_per_record: int = 10
    negatives_per_positive: float = 1.0
    short_seconds: float = 10.0
    long_seconds: list[float] = field(default_factory=lambda: [10.0, 60.0])
    max_ecgs: int = 6
    runs_per_patient: int = 2
    questions_per_run: int = 4


def check(cfg: QuestionsConfig) -> None:
    """ConfigError with every knob that cannot be meant, one a line."""
    wrong = [f"questions.pools: no pool is called '{pool}' (known: {', '.join(POOLS)})" for pool in cfg.pools if pool not in POOLS]
    if not 0 < cfg.short_seconds:
        wrong.append(f"questions.short_seconds: a window of {cfg.short_seconds} s holds no signal")
    if len(cfg.long_seconds) != 2 or not 0 < cfg.long_seconds[0] <= cfg.long_seconds[1]:
        wrong.append(f"questions.long_seconds: the shortest and the longest window in s, such as [10, 60], not {list(cfg.long_seconds)}")
    if not 2 <= cfg.max_ecgs <= 6:
        wrong.append(f"questions.max_ecgs: from 2 to 6 ECGs, not {cfg.max_ecgs}")
    if cfg.negatives_per_positive < 0:
        wrong.append(f"questions.negatives_per_positive: {cfg.negatives_per_positive} is negative")
    if wrong:
        raise ConfigError("\n".join(wrong))
