"""How a stage is spread over devices, one file an engine: one device, DDP, DeepSpeed, FSDP."""

from anyecg.registry import Registry

engines = Registry(
    "engine",
    {
        "auto": "anyecg.training.engines.auto:Auto",
        "single": "anyecg.training.engines.single:Single",
        "ddp": "anyecg.training.engines.ddp:DDP",
        "deepspeed": "anyecg.training.engines.deepspeed:DeepSpeed",
        "fsdp": "anyecg.training.engines.fsdp:FSDP",
    },
)
