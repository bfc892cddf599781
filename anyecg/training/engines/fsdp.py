"""FSDP: the weights of the LLM's layers in parts over the devices, checkpoints as any other engine writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import lightning as L
import torch
from lightning.fabric.strategies.fsdp import _get_full_state_dict_context as whole_tensors
from lightning.pytorch.accelerators import CUDAAccelerator
from lightning.pytorch.strategies import FSDPStrategy, Strategy
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel

from anyecg.model import ECGLanguageModel
from anyecg.training.engines.base import ADAM, Engine, Estimate
from anyecg.types import ConfigError

WRAPPER = "_fsdp_wrapped_module."  # what FSDP puts into the names of the layers that it wraps
FLOAT = 4  # bytes of a float32 weight


class FSDP(Engine):
    """PyTorch's FullyShardedDataParallel: each device holds a part of the LLM's layers."""

    sharded = True
    gpus_only = True
    found_inf = False

    def strategy(self, model: ECGLanguageModel) -> Strategy | str:
        return GatheringFSDP(model)

    def clip_value(self, norm: float) -> None:
        return None

    def callbacks(self, clip: float) -> list[L.Callback]:
        return [ClipSharded(clip)] if clip else []

    def gradient_norm(self, optimizer: torch.optim.Optimizer) -> Tensor:
        square = super().gradient_norm(optimizer).square()  # of this rank's parts
        torch.distributed.all_reduce(square)
        return square.sqrt()

    def names(self, named: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
        return plain_names(named)

    def gather(self, trainer: L.Trainer, model: ECGLanguageModel) -> dict[str, Tensor]:
        state = super().gather(trainer, model)
        for module in list(model.modules()):  # peft writes an adapter by the modules' names
            for name, child in module.named_children():
                if isinstance(child, FullyShardedDataParallel):
                    setattr(module, name, child.module)
        return state

    @classmethod
    def estimates(cls) -> Mapping[str, Estimate]:
        """All weights in float32, cut over the GPUs, and the largest layer whole."""
        return {
            "fsdp": lambda learning, frozen, largest, gpus: (ADAM * learning + FLOAT * frozen) / gpus + FLOAT * largest
        }


class GatheringFSDP(FSDPStrategy):
    """Lightning's FSDP strategy with a checkpoint that no other strategy's differs from: Lightning's one file.

    Whole tensors are gathered onto the first rank, a layer at a time. Lightning would number AdamW's moments by all
    parameters, where torch's optimizer (and so every other engine) numbers those that learn, in the order of their
    groups.
    """

    def __init__(self, model: ECGLanguageModel, **settings: Any) -> None:
        blocks = set(getattr(model.llm.lm, "_no_split_modules", None) or ())
        layers = {type(module) for module in model.llm.lm.modules() if type(module).__name__ in blocks}
        super().__init__(auto_wrap_policy=layers, use_orig_params=True, state_dict_type="full", **settings)

    def setup_environment(self) -> None:
        if not isinstance(self.accelerator, CUDAAccelerator):
            raise ConfigError(
                "trainer.strategy: fsdp needs GPUs, Lightning does not run it on a CPU; choose ddp or single"
            )
        super().setup_environment()

    def _setup_model(self, model: nn.Module) -> nn.Module:
        kinds = sorted({str(parameter.dtype).removeprefix("torch.") for parameter in model.parameters()})
        if len(kinds) > 1:
            raise ConfigError(
                f"trainer.strategy: fsdp keeps weights of one kind only, these are {' and '.join(kinds)}; "
                "set llm.dtype=float32 (with trainer.precision=bf16-mixed), or choose deepspeed"
            )
        for parameter in model.parameters():
            parameter.whole_shape = parameter.shape
        return super()._setup_model(model)

    def optimizer_state(self, optimizer) -> dict[str, Any]:
        """As torch's AdamW would have it: numbers for parameters, whole moments; on the first rank only."""
        with whole_tensors(self.model, world_size=self.world_size):
            named = FullyShardedDataParallel.optim_state_dict(self.model, getattr(optimizer, "_optimizer", optimizer))
        if not self.is_global_zero:
            return {}
        number = {
            name: number
            for number, name in enumerate(name for group in named["param_groups"] for name in group["params"])
        }
        groups = [group | {"params": [number[name] for name in group["params"]]} for group in named["param_groups"]]
        return {"state": {number[name]: state for name, state in named["state"].items()}, "param_groups": groups}

    def load_checkpoint(self, checkpoint_path, weights_only: bool | None = None) -> dict[str, Any]:
        """Our own file: it holds the loops' and generators' states, which are no tensors."""
        return self.checkpoint_io.load_checkpoint(checkpoint_path, map_location="cpu", weights_only=False)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        with whole_tensors(self.model, world_size=self.world_size, rank0_only=False):
            self.model.load_state_dict(checkpoint["state_dict"], strict=strict)

    @property
    def lightning_restore_optimizer(self) -> bool:
        return True

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        ((saved,), (optimizer,)) = checkpoint["optimizer_states"], self.optimizers
        known = {
            id(parameter): name for name, parameter in plain_names(self.lightning_module.named_parameters()).items()
        }
        names = [[known[id(parameter)] for parameter in group["params"]] for group in optimizer.param_groups]
        name = dict(enumerate(name for group in names for name in group))
        stored = {
            "state": {name[number]: state for number, state in saved["state"].items()},
            "param_groups": [group | {"params": own} for group, own in zip(saved["param_groups"], names, strict=True)],
        }
        with whole_tensors(self.model, world_size=self.world_size, rank0_only=False):
            optimizer.load_state_dict(FullyShardedDataParallel.optim_state_dict_to_load(self.model, optimizer, stored))


def plain_names(named: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """Named tensors by the names that they have without FSDP."""
    return {name.replace(WRAPPER, ""): tensor for name, tensor in named}


class ClipSharded(L.Callback):
    """Clips gradients of which each rank holds a part, which Lightning leaves to FSDP."""

    def __init__(self, norm: float) -> None:
        self.norm = norm

    def on_before_optimizer_step(self, trainer: L.Trainer, module: L.LightningModule, optimizer) -> None:
        trainer.strategy.model.clip_grad_norm_(self.norm)
