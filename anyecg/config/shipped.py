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


def find(path: Path | str) -> Path:
    """A path of a file; where there is none, and it begins with `experiments/`, that of the file which anyecg ships
    under that name: so `experiments/anyecg_chat.yaml` is found from any folder.
    """
    path = Path(path)
    if path.exists() or path.parts[:1] != ("experiments",):
        return path
    ours = experiments().joinpath(*path.parts[1:])
    return ours if ours.is_file() else path
