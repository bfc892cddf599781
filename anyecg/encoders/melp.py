"""MELP's ECG encoder, with its released weights where a file of them is given."""

from __future__ import annotations

from dataclasses import dataclass

from anyecg.config.checks import Checks
from anyecg.encoders.ecg_fm import DROPPED, NAMES, ECGFMConfig, Wav2Vec
from anyecg.encoders.merl import LEADS
from anyecg.encoders.released import Layout
from anyecg.types import InputSpec

AHEAD = r"(?:ecg_encoder\.)+"  # ecg_encoder.ecg_encoder. in the hub's file
LAYOUT = Layout(
    "MELP",
    names=tuple((AHEAD + ours, new) for ours, new in NAMES),
    dropped=(
        *(AHEAD + ours for ours in DROPPED),
        r"(ecg_encoder\.)?((attn_pool|ln)_(contrast|caption)|head|bn)\..+",  # poolers and heads over the trunk
        r"(ecg_encoder\.)?(proj_contrast|logit_scale)",
    ),
)


@dataclass(frozen=True)
class MELPConfig(ECGFMConfig):
    layers: int = 8  # transformer blocks; the release has 8
    # of a window's signal, a name of `scaling`; its own is not documented: MERL's, whose splits and prompts it uses
    scaling: str = "minmax"

    def check(self, check: Checks) -> None:
        super().check(check)
        check.registered("scaling", "scaling")


class MELP(Wav2Vec):
    """MELP's trunk (Wang et al. 2025, arXiv 2506.21803): 10 s at 500 Hz, 312 tokens of 768; 62,021,760 parameters.

    Leads and scaling are MERL's, whose data it was trained on; its own are not documented. Its poolers, for contrast
    and for captions, are left out: a probe or a connector takes the trunk's tokens.
    """

    Config = MELPConfig
    layout = LAYOUT

    @classmethod
    def input_spec(cls, cfg: MELPConfig) -> InputSpec:
        return InputSpec(fs=500, scaling=cfg.scaling, leads=LEADS)
