"""The processes of one run: who they are, and one that works while the others wait."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta

import torch
from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from lightning.fabric.utilities.rank_zero import rank_zero_only
from torch import distributed

from anyecg.config.schema import TrainerConfig
from anyecg.types import ConfigError

PATIENCE = timedelta(days=7)  # that the others wait for one that builds a dataset


def join(trainer: TrainerConfig) -> None:
    """Connect the processes that torchrun or srun started, so that they can wait for each other before the first stage.

    Does nothing where neither did: Lightning then starts the other processes itself, with the first stage.
    ConfigError where as many were started as the configuration does not ask for.
    """
    started = next((kind() for kind in (TorchElasticEnvironment, SLURMEnvironment) if kind.detect()), None)
    asked = trainer.processes
    if started is None or (asked == 1 and started.global_rank() == 0 and not isinstance(started, TorchElasticEnvironment)):
        return
    if started.world_size() != asked:
        raise ConfigError(
            f"trainer.devices ({trainer.devices}) times trainer.num_nodes ({trainer.num_nodes}) is {asked}, but {started.world_size()} processes "
            "were started; give the launcher and the configuration the same numbers (docs/multi_node.md)"
        )
    if asked == 1 or distributed.is_initialized():
        return
    cuda = trainer.accelerator != "cpu" and torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(started.local_rank())
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = started.main_address, str(started.main_port)
    rank_zero_only.rank = started.global_rank()
    distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", rank=started.global_rank(), world_size=asked)


def is_first() -> bool:
    """Whether this is the process that builds, writes and reports (rank zero)."""
    return rank_zero_only.rank == 0


def wait() -> None:
    """Until every process is here; nothing where they are not connected (yet)."""
    if distributed.is_initialized():
        if not hasattr(wait, "group"):
            wait.group = distributed.new_group(backend="gloo", timeout=PATIENCE)
        distributed.barrier(group=wait.group)


@contextlib.contextmanager
def first_alone() -> Iterator[None]:
    """The first process goes through what is inside alone, then the others do, who find it done."""
    if not is_first():
        wait()
    yield
    if is_first():
        wait()
