"""The curriculum's objective: next-token loss on the answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from torch import Tensor

from anyecg.config.checks import Checks
from anyecg.config.schema import Experiment, InputConfig, StageConfig, to_dict
from anyecg.data.loading.collate import Collator
from anyecg.data.loading.loader import StageData
from anyecg.model import ECGLanguageModel
from anyecg.objectives.augment import Augmentation
from anyecg.objectives.base import Objective, encoder_code
from anyecg.training.flops import answering_flops, recomputed_flops
from anyecg.training.job import Cost, Depends, Outlook, StageJob
from anyecg.training.machine import on_cpu
from anyecg.training.plan_lengths import shares
from anyecg.training.stage import Stage
from anyecg.types import ECGBatch

TOO_LONG = ("leave_out", "cut")


@dataclass(frozen=True)
class AnswerConfig(Augmentation):
    """As every augmentation; none of it moves a clip in time, as answers name seconds. And how long a question with its
    answers may be.
    """

    max_tokens: int | None = None  # None: as many as the LLM's context holds
    too_long: str = "leave_out"  # a sample of more tokens: leave_out, or cut (the end of its last answer; MEIT's way)

    def __post_init__(self) -> None:
        super().__post_init__()
        with Checks(self) as check:
            check.number("max_tokens", least=2)
            check.among("too_long", TOO_LONG)


class Answer(Objective):
    """Next-token loss on the answers to questions about ECGs."""

    Config = AnswerConfig

    def settings(self, stage: StageConfig) -> dict:
        """Neither `tokens` nor `micro_batch`: a step has the same samples and the same loss however it is cut."""
        return {key: value for key, value in to_dict(stage).items() if key not in ("tokens", "micro_batch")}

    def depends(self, experiment: Experiment, stage: StageConfig, tuned: bool) -> Depends:
        """Until the LLM's tuning has moved, adapters are the identity, as no adapters are."""
        llm = {key: value for key, value in to_dict(experiment.llm).items() if tuned or key not in ("tuning", "lora")}
        llm.pop("gradient_checkpointing", None)
        parts = {"input": to_dict(limits(experiment, stage)), "llm": llm}
        code = [ECGLanguageModel, experiment.llm.component]
        groups = {"markers", "llm", "llm_weights"}
        if stage.view == "text":
            parts["marked"] = experiment.fusion.component.marked
        else:
            eye = {"encoder": experiment.encoder, "connector": experiment.connector, "fusion": experiment.fusion}
            parts |= {name: to_dict(slot) for name, slot in eye.items()}
            code += [*encoder_code(experiment), *experiment.connector.components, *experiment.fusion.components]
            groups |= eye.keys()
        return Depends(parts, frozenset(groups), tuple(code))

    def batches(self, job: StageJob) -> StageData:
        model, experiment = job.model, job.experiment
        self.cfg.require(model.encoder.input)
        packs = model.llm.packs and on_cpu(experiment.trainer) and not experiment.trainer.compile
        most, cut = min(model.llm.context, self.cfg.max_tokens or model.llm.context), self.cfg.too_long == "cut"
        spec = model.encoder.input
        collate = Collator(model.llm.chat, model.places, most, spec=spec, pack=packs, cut=cut)
        return StageData(
            job.data,
            job.cfg,
            limits(experiment, job.cfg),
            split=job.split,
            replay=experiment.replay,
            seed=job.seed,
            collate=collate,
            measure=collate.measure,
            context=most,
            shortened=collate.is_cut if cut else None,
            lengths=Path(experiment.cache) / "lengths",
            reader=collate.fingerprint,
            devices=experiment.trainer.processes,
            workers=experiment.trainer.workers,
            spec=model.encoder.input,
            packs=packs,
        )

    def module(self, job: StageJob, steps: int) -> Stage:
        return AnsweringStage(job.model, job.cfg, steps, self.cfg)

    def cost(self, outlook: Outlook) -> Cost:
        mixed = []
        forward, tuning, again = (
            outlook.forward,
            outlook.model.llm.tuning,
            # what a selective pass computes again has no product
            outlook.experiment.llm.config.gradient_checkpointing is True,
        )
        for pool, share in shares(outlook.cfg, outlook.experiment.replay).items():
            costs = [
                (
                    shape.clips,
                    shape.tokens,
                    shape.answers,
                    answering_flops(forward, shape, outlook.cfg.trains, tuning),
                    again * recomputed_flops(forward, shape),
                )
                for shape in outlook.shapes(pool, outlook.cfg.view)
            ]
            mixed.append([share * fmean(column) for column in zip(*costs)])
        return Cost(*map(sum, zip(*mixed)))


class AnsweringStage(Stage):
    """Language warm-up and Stages 1 to 3 (the paper's Training section): the same loss, other data and trainables."""

    def __init__(
        self,
        model: ECGLanguageModel,
        cfg: StageConfig,
        steps: int,
        augmentation: Augmentation = Augmentation(),  # noqa: B008
    ) -> None:
        super().__init__(model, cfg, steps)
        self.augmentation = augmentation

    def loss(self, batch: ECGBatch) -> Tensor:
        if self.training and self.augmentation.any:
            clips, lead_mask = self.augmentation(batch.clips, batch.lead_mask, self.model.encoder.input.fs)
            batch = replace(batch, clips=clips, lead_mask=lead_mask)
        return self.model(batch)


def limits(experiment: Experiment, stage: StageConfig) -> InputConfig:
    """What of a question's ECGs a stage sees; a stage over words, which sees none, reads about all of them."""
    return InputConfig() if stage.view == "text" else experiment.input
