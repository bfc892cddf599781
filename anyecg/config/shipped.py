"""Where the files of `experiments/` lie that the package itself reads: in the checkout, or installed with it."""

from __future__ import annotations

import sysconfig
from pathlib import Path

CHECKOUT = Path(__file__).parents[2] / "experiments"
INSTALLED = Path("share") / "anyecg" / "experiments"  # under the environment, as pyproject.toml says


def experiments() -> Path:
    """The folder: beside the package in a checkout, under the environment where the package was installed without
    one.
    """
    return CHECKOUT if (CHECKOUT / "published").is_dir() else Path(sysconfig.get_path("data")) / INSTALLED
