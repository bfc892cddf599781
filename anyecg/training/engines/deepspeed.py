"""DeepSpeed's ZeRO: optimizer, gradients and weights in parts over the devices, checkpoints as of any other engine."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.accelerators import CUDAAccelerator
from lightning.pytorch.strategies import DeepSpeedStrategy, Strategy
from torch import Tensor, nn

from anyecg.config.checks import Checks
from anyecg.model import ECGLanguageModel
from anyecg.training.engines.base import HALF, PER_NODE, Engine, Estimate
from anyecg.types import ConfigError

MOMENTS = ("exp_avg", "exp_avg_sq")  # what AdamW keeps of a parameter
OFFLOADS = ("none", "optimizer", "all")
# a stage's own settings
DERIVED = ("optimizer", "scheduler", "gradient_accumulation_steps", "train_batch_size", "gradient_clipping")
MISSING = "deepspeed is not installed; pip install 'anyecg[deepspeed]'"


class DeepSpeed(Engine):
    """DeepSpeed's ZeRO, stages 1 to 3 (the paper trains with it)."""

    @dataclass(frozen=True)
    class Config:
        """What of DeepSpeed is chosen."""

        # ZeRO: each device keeps a share of 1 the optimizer's state, 2 and of the gradients, 3 and of the weights
        stage: int = 2
        offload: str = "none"  # to the CPU's memory: none, optimizer, all (stage 3: and the weights)
        config: Any = None  # DeepSpeed's own configuration instead, keys and values or the name of a JSON file

        def __post_init__(self) -> None:
            with Checks(self) as check:
                if self.stage not in (1, 2, 3):
                    check.wrong("stage", f"ZeRO has the stages 1, 2 and 3, not {self.stage}")
                check.among("offload", OFFLOADS)
                if self.offload == "all" and self.stage in (1, 2):
                    check.wrong("offload", "all moves the weights too, which needs stage: 3; choose optimizer")

    sharded = True
    keeps_float32 = True
    gpus_only = True
    skips = False
    found_inf = False
    owns_step = True

    def check(self) -> Iterator[str]:
        yield from super().check()
        try:
            self.settings()
        except ConfigError as error:
            yield str(error)

    def strategy(self, model: ECGLanguageModel) -> Strategy | str:
        return GatheringDeepSpeed(**self.settings())

    def settings(self) -> dict[str, Any]:
        """DeepSpeedStrategy's arguments; ConfigError names a file or key that cannot be used, or the missing extra."""
        if importlib.util.find_spec("deepspeed") is None:
            raise ConfigError(f"trainer.strategy: {MISSING}")
        if self.cfg.config is None:
            offload = {"offload_optimizer": self.cfg.offload != "none", "offload_parameters": self.cfg.offload == "all"}
            return {"stage": self.cfg.stage, "logging_batch_size_per_gpu": 1, **offload}
        given = self.cfg.config
        if isinstance(given, str):
            try:
                given = json.loads(Path(given).read_text())
            except (OSError, ValueError) as error:
                raise ConfigError(
                    f"trainer.strategy.config: {self.cfg.config} cannot be read as JSON ({error})"
                ) from error
        if not isinstance(given, Mapping):
            raise ConfigError(
                f"trainer.strategy.config: expected keys and values of DeepSpeed's configuration, or the name "
                f"of a JSON file, got {given!r}"
            )
        if taken := [key for key in DERIVED if key in given]:
            raise ConfigError(
                f"trainer.strategy.config: leave out {', '.join(taken)}: the stage's own settings say it (lr, "
                f"batch_size, clip, ...)"
            )
        defaults = {"zero_allow_untested_optimizer": True, "train_micro_batch_size_per_gpu": 1}
        return {"config": defaults | json.loads(json.dumps(dict(given)))}

    @contextlib.contextmanager
    def building(self) -> Iterator[None]:
        """Within it, `from_pretrained` leaves each process its part of the weights (ZeRO-3, processes connected).

        Everything else is built as ever: what `deepspeed.zero.Init` around the whole model would do to
        initialisation is silent and wrong (LoRA's B not zero, twice the deviation). The engine cuts the rest when the
        stage begins.
        """
        settings = self.settings()
        zero = settings.get("config", {}).get("zero_optimization", {"stage": settings.get("stage")})
        if zero.get("stage") != 3 or not torch.distributed.is_initialized():
            yield
            return
        import deepspeed
        from transformers.integrations.deepspeed import HfDeepSpeedConfig, unset_hf_deepspeed_config

        deepspeed.init_distributed()
        bfloat16 = {"enabled": self.trainer.precision.startswith("bf16")}
        alive = HfDeepSpeedConfig({"train_micro_batch_size_per_gpu": 1, "zero_optimization": zero, "bf16": bfloat16})
        try:
            yield
        finally:
            unset_hf_deepspeed_config()
            del alive

    def gradient_norm(self, optimizer) -> None:
        return None

    def norm_after_step(self, trainer: L.Trainer) -> float | None:
        norm = trainer.model.get_global_grad_norm()
        return None if norm is None else float(norm)

    @classmethod
    def estimates(cls) -> Mapping[str, Estimate]:
        """DeepSpeed's own estimators; ConfigError where it is not installed.

        They take every parameter to learn: 16-bit weights and gradients, and in float32 the weights, the gradients and
        Adam's two states. Here they are given the number of those that do. Frozen 16-bit weights are added: whole on
        every GPU under ZeRO-2, a share under ZeRO-3, none where the weights are on the CPU.
        """
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # its import prints
                from deepspeed.runtime.zero.stage3 import estimate_zero3_model_states_mem_needs as zero3
                from deepspeed.runtime.zero.stage_1_and_2 import estimate_zero2_model_states_mem_needs as zero2
        except ImportError as error:
            raise ConfigError(MISSING) from error

        def second(offload: bool) -> Estimate:
            return lambda learning, frozen, largest, gpus: (
                zero2(learning, *nodes(gpus), cpu_offload=offload)[1] + HALF * frozen
            )

        def third(offload: bool) -> Estimate:
            return lambda learning, frozen, largest, gpus: (
                zero3(learning, largest, *nodes(gpus), cpu_offload=offload, cpu_offload_params=False)[1]
                + HALF * frozen / gpus
            )

        def all_on_cpu(learning: int, frozen: int, largest: int, gpus: int) -> float:
            return zero3(learning, largest, *nodes(gpus), cpu_offload=True, cpu_offload_params=True)[1]

        return {
            "ZeRO-2": second(False),
            "ZeRO-2, optimizer on CPU": second(True),
            "ZeRO-3": third(False),
            "ZeRO-3, optimizer on CPU": third(True),
            "ZeRO-3, all on CPU": all_on_cpu,
        }


def nodes(gpus: int) -> tuple[int, int]:
    """GPUs a node, and nodes."""
    return min(gpus, PER_NODE), -(-gpus // PER_NODE)


class GatheringDeepSpeed(DeepSpeedStrategy):
    """Lightning's DeepSpeed strategy with a checkpoint that no other strategy's differs from.

    DeepSpeed writes a folder with a file a rank, for the same number of ranks and the same stage of ZeRO. Here the
    float32 weights and AdamW's moments of what learns are gathered, a parameter at a time, onto the first rank, which
    writes Lightning's one file: any strategy, on any number of devices, goes on from it. Offloading to NVMe cannot.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # the stage's own AdamW (torch's, fused) also where DeepSpeed would rather compile its own for offloading
        self.config.setdefault("zero_force_ds_cpu_optimizer", False)

    def setup_environment(self) -> None:
        if not isinstance(self.accelerator, CUDAAccelerator):
            raise ConfigError(
                "trainer.strategy: deepspeed needs GPUs; choose ddp or single on a CPU (trainer.accelerator)"
            )
        super().setup_environment()

    @contextlib.contextmanager
    def model_sharded_context(self) -> Iterator[None]:
        """Builds nothing in `deepspeed.zero.Init`, which would initialise parts of tensors (`DeepSpeed.building`)."""
        self._init_config_if_needed()
        yield

    def _init_optimizers(self):
        optimizer, schedule = super()._init_optimizers()
        self.learning: list[list[nn.Parameter]] = [list(group["params"]) for group in optimizer.param_groups]
        return optimizer, schedule

    def lightning_module_state_dict(self) -> dict[str, Tensor]:
        """name -> whole float32 tensor of what learns, and every buffer; on the first rank only. All ranks call it."""
        from deepspeed.utils import safe_get_full_fp32_param

        kept = {}
        for name, parameter in self.lightning_module.named_parameters():
            if parameter.requires_grad:
                self._keep(kept, name, safe_get_full_fp32_param(parameter))
        stored = self.lightning_module.state_dict().keys()
        for name, buffer in self.lightning_module.named_buffers():
            if name in stored:
                self._keep(kept, name, buffer)
        return kept

    def optimizer_state(self, optimizer) -> dict[str, Any]:
        """As torch's AdamW would have it: numbers for parameters, whole moments; on the first rank only."""
        from deepspeed.utils import safe_get_full_optimizer_state

        base = optimizer.optimizer
        if not self.zero_stage_3:
            self._link(optimizer)
        step = next(iter(base.state.values()))["step"] if base.state else torch.tensor(0.0)
        groups, state, number = [], {}, 0
        for group, parameters in zip(base.param_groups, self.learning, strict=True):
            settings = {key: value for key, value in group.items() if key != "params"}
            groups.append(settings | {"params": list(range(number, number + len(parameters)))})
            for parameter in parameters:
                kept: dict[str, Tensor] = {"step": torch.as_tensor(step).detach().float().cpu().clone()}
                for key in MOMENTS:
                    self._keep(kept, key, safe_get_full_optimizer_state(parameter, key))
                state[number] = kept
                number += 1
        return {"state": state, "param_groups": groups}

    def _link(self, engine) -> None:
        """Link every parameter to its moments: DeepSpeed does so once, after the first group's first step."""
        engine._hp_optimizer_states_linked = False
        engine._lazy_init_hp_params_optimizer_state()

    def _keep(self, kept: dict[str, Tensor], name: str, tensor: Tensor) -> None:
        if self.is_global_zero:
            kept[name] = tensor.detach().cpu().clone()

    def save_checkpoint(self, checkpoint: dict, filepath, storage_options=None) -> None:
        if self.is_global_zero:
            self.checkpoint_io.save_checkpoint(checkpoint, filepath)

    def load_checkpoint(self, checkpoint_path, weights_only: bool | None = None) -> dict[str, Any]:
        """Our own file: it holds the loops' and generators' states, which are no tensors."""
        return self.checkpoint_io.load_checkpoint(checkpoint_path, weights_only=False)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        from deepspeed.utils import safe_set_full_fp32_param

        saved = checkpoint["state_dict"]
        with torch.no_grad():
            for name, buffer in self.lightning_module.named_buffers():
                if name in saved:
                    buffer.copy_(saved[name])
            for name, parameter in self.lightning_module.named_parameters():
                if not parameter.requires_grad:
                    continue
                value = saved[name].to(self.root_device)
                if self.zero_stage_3:
                    own = self._part(parameter, value)
                    parameter._z3_optimizer.set_local_hp_param(own, parameter)
                    parameter.ds_tensor.data.copy_(own)
                else:
                    safe_set_full_fp32_param(parameter, value)
                    parameter.data.copy_(value)

    @property
    def lightning_restore_optimizer(self) -> bool:
        return True

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        from deepspeed.utils import safe_set_full_optimizer_state

        (saved,) = checkpoint["optimizer_states"]
        engine = self.deepspeed_engine.optimizer
        base, states = engine.optimizer, saved["state"]
        step = max((float(state["step"]) for state in states.values()), default=0.0)
        for flat in (
            engine.fp32_partitioned_groups_flat if self.zero_stage_3 else engine.single_partition_of_fp32_groups
        ):
            base.state[flat] = {"step": torch.tensor(step, device=flat.device)} | {
                key: torch.zeros_like(flat) for key in MOMENTS
            }
        if not self.zero_stage_3:
            self._link(engine)
        for group, stored, parameters in zip(base.param_groups, saved["param_groups"], self.learning, strict=True):
            group.update({key: value for key, value in stored.items() if key != "params"})
            for number, parameter in zip(stored["params"], parameters, strict=True):
                for key in MOMENTS if number in states else ():  # a parameter that never had a gradient has no moments
                    value = states[number][key].to(self.root_device)
                    if self.zero_stage_3:
                        parameter._z3_optimizer.set_local_hp_param(self._part(parameter, value), parameter, key)
                    else:
                        safe_set_full_optimizer_state(parameter, value, key)

    def _part(self, parameter: nn.Parameter, whole: Tensor) -> Tensor:
        """This rank's part of a whole tensor, filled up with zeros at the end, as ZeRO-3 cuts it."""
        size = parameter.ds_tensor.numel()
        padded = whole.new_zeros(size * self.world_size)
        padded[: whole.numel()] = whole.flatten()
        return padded[size * self.global_rank : size * (self.global_rank + 1)]
