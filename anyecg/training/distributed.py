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
from anyecg.types import AnyECGError, ConfigError

PATIENCE = timedelta(days=7)  # that the others wait for one that builds a dataset


def join(trainer: TrainerConfig) -> None:
    """Connect the processes that torchrun or srun started, so that they can wait for each other before the first stage.

    Does nothing where neither did: Lightning then starts the other processes itself, with the first stage.
    ConfigError where as many were started as the configuration does not ask for.
    """
    started = next((kind() for kind in (TorchElasticEnvironment, SLURMEnvironment) if kind.detect()), None)
    asked = trainer.processes
    if started is None or (
        asked == 1 and started.global_rank() == 0 and not isinstance(started, TorchElasticEnvironment)
    ):
        return
    if started.world_size() != asked:
        raise ConfigError(
            f"trainer.devices ({trainer.devices}) times trainer.num_nodes ({trainer.num_nodes}) is {asked}, but "
            f"{started.world_size()} processes "
            "were started; give the launcher and the configuration the same numbers (docs/multi_node.md)"
        )
    if asked == 1 or distributed.is_initialized():
        return
    cuda = trainer.accelerator != "cpu" and torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(started.local_rank())
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = started.main_address, str(started.main_port)
    rank_zero_only.rank = started.global_rank()
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if cuda else "gloo", rank=started.global_rank(), world_size=asked
    )


def is_first() -> bool:
    """Whether this is the process that builds, writes and reports (rank zero)."""
    return rank_zero_only.rank == 0


def wait() -> None:
    """Until every process is here; nothing where they are not connected (yet)."""
    if distributed.is_initialized():
        distributed.barrier(group=_patient())


def any_process(here: bool) -> bool:
    """Whether it is so on any process; all must ask. Waits for no device."""
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return here
    told = torch.tensor(here, dtype=torch.int32)
    distributed.all_reduce(told, op=distributed.ReduceOp.MAX, group=_patient())
    return bool(told)


@contextlib.contextmanager
def first_alone() -> Iterator[None]:
    """The first process goes through what is inside alone, then the others do, who find it done.

    Where the first one fails inside, the others stop at once with AnyECGError that gives its reason.
    """
    if not is_first():
        if reason := _from_first(None):
            raise AnyECGError(f"the first process stopped, so this one does too: {reason}")
        yield
        return
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(AnyECGError):  # where the others are gone too, the error that counts is this one
            _from_first(f"{type(error).__name__}: {error}")
        raise
    _from_first(None)


def share() -> tuple[int, int]:
    """Which of how many connected processes this one is; (0, 1) where they are not connected."""
    return (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Every process goes through what is inside and then waits for the others; where one fails inside, all stop, the
    others with AnyECGError that gives its reason.
    """
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(AnyECGError):
            _from_all(f"{type(error).__name__}: {error}")
        raise
    for number, reason in enumerate(_from_all(None)):
        if reason:
            raise AnyECGError(f"process {number} of the run stopped, so this one does too: {reason}")


def _from_all(failure: str | None) -> list[str | None]:
    """What every process gives, by rank; nothing where they are not connected. Waits for the others."""
    if not distributed.is_initialized():
        return []
    given: list[str | None] = [None] * distributed.get_world_size()
    try:
        distributed.all_gather_object(given, failure, group=_patient())
    except RuntimeError as error:
        raise AnyECGError(
            f"another process of the run ended ({str(error).splitlines()[0]}); its own message says why"
        ) from error
    return given


def _from_first(failure: str | None) -> str | None:
    """On every process what the first one gives; None where they are not connected (yet). Waits for the others."""
    if not distributed.is_initialized():
        return None
    given = [failure]
    try:
        distributed.broadcast_object_list(given, src=0, group=_patient())
    except RuntimeError as error:
        raise AnyECGError(
            f"another process of the run ended ({str(error).splitlines()[0]}); its own message says why"
        ) from error
    return given[0]


def _patient() -> distributed.ProcessGroup:
    """All processes, over gloo, with a timeout that outlasts the building of a dataset."""
    if not hasattr(_patient, "group"):
        _patient.group = distributed.new_group(backend="gloo", timeout=PATIENCE)
    return _patient.group
