"""How a stage is spread over devices: one device, DDP, DeepSpeed, FSDP."""
