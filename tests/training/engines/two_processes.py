"""Two processes that train stages of the small recipe under every engine, on a CPU; `torchrun` starts them.

    torchrun --standalone --nproc-per-node 2 -m tests.training.engines.two_processes DATA FOLDER CASES.json

CASES: name -> [stage, overrides]. A case trains in FOLDER/name, from the checkpoint FOLDER/name.ckpt where there is
one. What was so in the first process's model before its first step, and what only the engine can tell, is written to
FOLDER/name.json.
"""

import gc
import json
import shutil
import sys
from pathlib import Path
from unittest.mock import patch

import torch
from lightning.pytorch.strategies import DDPStrategy
from torch.distributed.fsdp import FullyShardedDataParallel, _optim_utils

from anyecg import config
from anyecg.tasks.build import build_data
from anyecg.training import pipeline
from anyecg.training.assembly import build_model
from anyecg.training.distributed import is_first, join, wait
from anyecg.training.engines.deepspeed import DeepSpeed, GatheringDeepSpeed
from anyecg.training.engines.fsdp import FSDP, GatheringFSDP
from anyecg.training.resume import LAST, AtomicCheckpointIO

ROOT = Path(__file__).parents[3]


class DeepSpeedStrategyOnCPU(GatheringDeepSpeed):
    """Lightning lets DeepSpeed run on GPUs only; the engine itself does not mind."""

    def __init__(self, **settings):
        import deepspeed

        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # an extension that would be compiled for 40 s
        super().__init__(process_group_backend="gloo", **settings)

    def setup_environment(self):
        DDPStrategy.setup_environment(self)

    def setup_distributed(self):
        self.set_world_ranks()
        self._init_deepspeed_distributed()

    @property
    def root_device(self):
        return torch.device("cpu", 0)


class DeepSpeedOnCPU(DeepSpeed):
    """An engine from outside the package."""

    def strategy(self, model):
        return DeepSpeedStrategyOnCPU(**self.settings())


class FSDPStrategyOnCPU(GatheringFSDP):
    """Torch's FSDP runs on a CPU where it is told so; Lightning tells it the number of a GPU."""

    def setup_environment(self):
        super(GatheringFSDP, self).setup_environment()

    def _setup_model(self, model):
        plain = FullyShardedDataParallel.__init__
        on_cpu = lambda wrapper, *args, **settings: plain(  # noqa: E731
            wrapper, *args, **settings | {"device_id": torch.device("cpu")}
        )
        with patch.object(FullyShardedDataParallel, "__init__", on_cpu):
            return super()._setup_model(model)

    def optimizer_state(self, optimizer):
        """On a GPU each moment is copied out of the buffer in which it is gathered; on a CPU both would lie in it."""
        plain = _optim_utils._unflatten_orig_param_states

        def copied(info, states, key, *how):
            for state in states.values():
                state.update({key: state[key].clone()} if key in state else {})
            plain(info, states, key, *how)

        with patch.object(_optim_utils, "_unflatten_orig_param_states", copied):
            return super().optimizer_state(optimizer)

    @property
    def root_device(self):
        return torch.device("cpu")


class FSDPOnCPU(FSDP):
    """An engine from outside the package."""

    def strategy(self, model):
        return FSDPStrategyOnCPU(model)


def keep_the_checkpoint_of(step: int, target: Path) -> None:
    """Copy `last.ckpt` aside once it is that of `step`."""
    plain = AtomicCheckpointIO.save_checkpoint

    def save(self, checkpoint, path, storage_options=None):
        plain(self, checkpoint, path)
        if checkpoint["global_step"] == step:
            shutil.copy(path, target)

    AtomicCheckpointIO.save_checkpoint = save


def train(data_cache: Path, folder: Path, name: str, stage: str, overrides: list[str], known: dict) -> None:
    experiment = config.load(ROOT / "experiments/anyecg_chat.yaml", [*overrides, f"cache={folder / name}"])
    join(experiment.trainer)
    data = known.setdefault(
        "data", build_data(experiment.corpora, experiment.tasks, data_cache, experiment.tasks_seed, progress=False)
    )
    with experiment.trainer.strategy.build(experiment.trainer).building():
        model = build_model(experiment, data)
    facts = {
        "lora_b": max((float(p.abs().max()) for n, p in model.llm.tuned() if "lora_B" in n), default=0.0),
        "encoder": [float(p.std()) for p in model.encoder.parameters() if p.ndim > 1],
        "markers": model.fusion.markers.tolist(),
        "parts": sum(not p.numel() for p in model.llm.parameters()),
    }
    planned = next(s for s in pipeline.plan(experiment, data.fingerprint) if s.name == stage)
    work = planned.folder.with_name(planned.folder.name + ".partial")
    if is_first() and (started := folder / f"{name}.ckpt").exists():
        work.mkdir(parents=True)
        shutil.copy(started, work / LAST)
    wait()
    plain = AtomicCheckpointIO.save_checkpoint
    keep_the_checkpoint_of(2, folder / f"{name}.at2")
    pipeline.train(experiment, planned, model, data, experiment.text_encoder.build())
    AtomicCheckpointIO.save_checkpoint = plain
    if is_first():
        (folder / f"{name}.json").write_text(json.dumps(facts))


def main() -> None:
    data_cache, folder, cases = map(Path, sys.argv[1:])
    known = {}
    for name, (stage, overrides) in json.loads(cases.read_text()).items():
        train(data_cache, folder, name, stage, overrides, known)
        gc.collect()


if __name__ == "__main__":
    main()
