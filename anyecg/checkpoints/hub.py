"""Where a checkpoint lies, here or on the Hugging Face hub, and how one gets there."""

from __future__ import annotations

from pathlib import Path

from anyecg.types import CheckpointError

NEEDED = ["*.json", "*.pth", "*.bin", "*.safetensors", "*.model", "*.txt"]  # of a hub repository


def located(name: Path | str, revision: str | None = None, key: str = "") -> Path:
    """The folder `name` on this machine: itself, or that of the hub's repository OWNER/NAME, fetched where it is not in
    the hub's cache.

    revision: a commit, branch or tag of the repository; key: of the configuration that named it, for messages.
    CheckpointError where it is neither here nor to be had.
    """
    path, text = Path(name).expanduser(), str(name)
    where = f"{key}: " if key else ""
    if path.is_dir():
        return path
    if text.count("/") != 1 or path.is_absolute() or text.startswith("."):
        raise CheckpointError(f"{where}there is no folder {name}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(text, revision=revision, allow_patterns=NEEDED))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(
            f"{where}{name} is no folder here, and the hub does not give it "
            f"({_first_line(error)}); download it, and name the folder"
        ) from error


def upload(folder: Path, repository: str, private: bool = True, message: str = "A model of anyecg") -> str:
    """Put all files of a folder into the hub's repository OWNER/NAME, made where it is not there; returns its address.

    CheckpointError where the hub does not take it: no token, no network, no right to write.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    hub = HfApi()
    try:
        address = hub.create_repo(repository, private=private, exist_ok=True)
        hub.upload_folder(repo_id=repository, folder_path=folder, commit_message=message)
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise CheckpointError(
            f"{folder}: could not be put to {repository} ({_first_line(error)}); log in once by `hf auth login` with a "
            f"token that may write, and name the repository as OWNER/NAME"
        ) from error
    return str(address)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
