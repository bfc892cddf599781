"""The engine of a stage: Lightning's strategy for `trainer.strategy`, with checkpoints that are the same under all of them."""

from __future__ import annotations

import contextlib
import importlib.util
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.accelerators import CUDAAccelerator
from lightning.pytorch.strategies import DDPStrategy, DeepSpeedStrategy, Strategy
from torch import Tensor, nn

from anyecg.config.schema import TrainerConfig
from anyecg.model import ECGLanguageModel
from anyecg.training.engines.fsdp import FSDP
from anyecg.training.matmul import has_onednn
from anyecg.types import ConfigError

MOMENTS = ("exp_avg", "exp_avg_sq")  # what AdamW keeps of a parameter
DERIVED = ("optimizer", "scheduler", "gradient_accumulation_steps", "train_batch_size", "gradient_clipping")  # a stage's own settings


def check_machine(cfg: TrainerConfig) -> None:
    """ConfigError where this machine cannot train as `trainer` says, told before any data is built: too few GPUs, no DeepSpeed, no oneDNN."""
    wrong, gpus = [], torch.cuda.device_count()
    if cfg.accelerator == "cuda" or (cfg.accelerator == "gpu" and not torch.backends.mps.is_available()):
        if cfg.devices > gpus:
            wrong.append(f"trainer.accelerator: {cfg.accelerator} with trainer.devices: {cfg.devices} needs as many GPUs on this machine, which has {gpus}; "
                         "set trainer.accelerator=cpu, or fewer devices")
    elif cfg.strategy in ("deepspeed", "fsdp") and (cfg.accelerator == "cpu" or not gpus):
        wrong.append(f"trainer.strategy: {cfg.strategy} needs GPUs, and trainer.accelerator is {cfg.accelerator} on a machine that has {gpus}; choose ddp or single")
    if cfg.matmul == "onednn" and not has_onednn():
        wrong.append("trainer.matmul: this torch was built without oneDNN; choose torch or auto")
    try:
        if cfg.strategy == "deepspeed":
            deepspeed_settings(cfg)
    except ConfigError as error:
        wrong.append(str(error))
    if wrong:
        raise ConfigError("\n".join(wrong))


def strategy_for(cfg: TrainerConfig, model: ECGLanguageModel) -> Strategy | str:
    """What Lightning's Trainer takes. ConfigError where this machine cannot: no GPU, or a package is missing."""
    name = cfg.strategy if cfg.strategy != "auto" else "ddp" if cfg.devices * cfg.num_nodes > 1 else "single"
    if name == "ddp":  # the ViT's last norm is not used by the LLM, nor is the encoder by a batch of text only
        return DDPStrategy(find_unused_parameters=True)
    if name == "deepspeed":
        return DeepSpeed(**deepspeed_settings(cfg))
    if name == "fsdp":
        return FSDP(model)
    return "auto"


def shards(cfg: TrainerConfig) -> bool:
    """Whether the engine keeps a model that it trained: the next stage, and the evaluation, then build another."""
    return cfg.strategy in ("deepspeed", "fsdp")


def deepspeed_settings(cfg: TrainerConfig) -> dict[str, Any]:
    """DeepSpeedStrategy's arguments for `trainer.deepspeed`; ConfigError names a file or key that cannot be used."""
    if importlib.util.find_spec("deepspeed") is None:
        raise ConfigError("trainer.strategy: deepspeed is not installed; pip install 'anyecg[deepspeed]'")
    told = cfg.deepspeed
    if told.config is None:
        offload = {"offload_optimizer": told.offload != "none", "offload_parameters": told.offload == "all"}
        return {"stage": told.stage, "logging_batch_size_per_gpu": 1, **offload}
    given = told.config
    if isinstance(given, str):
        try:
            given = json.loads(Path(given).read_text())
        except (OSError, ValueError) as error:
            raise ConfigError(f"trainer.deepspeed.config: {told.config} cannot be read as JSON ({error})") from error
    if not isinstance(given, Mapping):
        raise ConfigError(f"trainer.deepspeed.config: expected keys and values of DeepSpeed's configuration, or the name of a JSON file, got {given!r}")
    if taken := [key for key in DERIVED if key in given]:
        raise ConfigError(f"trainer.deepspeed.config: leave out {', '.join(taken)}: the stage's own settings say it (lr, batch_size, clip, ...)")
    defaults = {"zero_allow_untested_optimizer": True, "train_micro_batch_size_per_gpu": 1}
    return {"config": defaults | json.loads(json.dumps(dict(given)))}


class DeepSpeed(DeepSpeedStrategy):
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
            raise ConfigError("trainer.strategy: deepspeed needs GPUs; choose ddp or single on a CPU (trainer.accelerator)")
        super().setup_environment()

    @contextlib.contextmanager
    def model_sharded_context(self) -> Iterator[None]:
        """Nothing is built inside `deepspeed.zero.Init`: initialisation would run on parts of tensors, and be another (see `sharded_llm`)."""
        self._init_config_if_needed()
        yield

    def _init_optimizers(self):
        optimizer, schedule = super()._init_optimizers()
        self.learning: list[list[nn.Parameter]] = [list(group["params"]) for group in optimizer.param_groups]
        return optimizer, schedule

    def lightning_module_state_dict(self) -> dict[str, Tensor]:
        """name -> whole tensor of what learns, in float32, and of every buffer; on the first rank only. All ranks must ask."""
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
        """Let every parameter know its moments: DeepSpeed does so once, after the first group's first step, when the others have none."""
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
        for flat in engine.fp32_partitioned_groups_flat if self.zero_stage_3 else engine.single_partition_of_fp32_groups:
            base.state[flat] = {"step": torch.tensor(step, device=flat.device)} | {key: torch.zeros_like(flat) for key in MOMENTS}
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


@contextlib.contextmanager
def sharded_llm(cfg: TrainerConfig) -> Iterator[None]:
    """Within it, transformers' `from_pretrained` leaves each process its part of the weights (ZeRO-3, processes connected).

    Everything else is built as ever: what `deepspeed.zero.Init` around the whole model would do to initialisation is
    silent and wrong (LoRA's B not zero, twice the deviation). The engine cuts the rest when the stage begins.
    """
    settings = deepspeed_settings(cfg) if cfg.strategy == "deepspeed" else {}
    zero = settings.get("config", {}).get("zero_optimization", {"stage": settings.get("stage")})
    if zero.get("stage") != 3 or not torch.distributed.is_initialized():
        yield
        return
    import deepspeed
    from transformers.integrations.deepspeed import HfDeepSpeedConfig, unset_hf_deepspeed_config

    deepspeed.init_distributed()
    config = {"train_micro_batch_size_per_gpu": 1, "zero_optimization": zero, "bf16": {"enabled": cfg.precision.startswith("bf16")}}
    alive = HfDeepSpeedConfig(config)
    try:
        yield
    finally:
        unset_hf_deepspeed_config()
        del alive
