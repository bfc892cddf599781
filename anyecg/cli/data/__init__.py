"""The commands behind `python -m anyecg.data`, one file each: `arguments(parser)` and `run(options) -> exit status`."""
