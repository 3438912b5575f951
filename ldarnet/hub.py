"""Model files from the Hugging Face hub, kept in its own cache."""

from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

SUFFIXES = (".safetensors", ".pt", ".pth")


def download(hub_id: str) -> Path:
    """The local path of the one model file of "owner/name", or of the file named in "owner/name:file".

    Uses the cached copy where the hub cannot be reached. Raises CheckpointError.
    """
    from ldarnet.checkpoint import CheckpointError

    repo, _, filename = hub_id.partition(":")
    try:
        return Path(hf_hub_download(repo, filename or _only_model_file(repo, HfApi().list_repo_files(repo))))
    except (HFValidationError, HfHubHTTPError) as error:
        raise CheckpointError(f"hub id {hub_id!r}: {str(error).strip().splitlines()[0]}") from None
    except (OSError, LocalEntryNotFoundError) as error:
        cached = _cached(repo, filename)
        if cached is None:
            raise CheckpointError(
                f"hub id {hub_id!r}: the hub cannot be reached and no copy is cached ({type(error).__name__}). "
                "If you meant a file on this machine, it does not exist"
            ) from None
        return cached


def _cached(repo: str, filename: str) -> Path | None:
    try:
        folder = Path(snapshot_download(repo, local_files_only=True))
    except (OSError, LocalEntryNotFoundError):
        return None
    files = [str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()]
    path = folder / (filename or _only_model_file(repo, files))
    return path if path.is_file() else None


def _only_model_file(repo: str, files: list[str]) -> str:
    from ldarnet.checkpoint import CheckpointError

    for suffix in SUFFIXES:
        found = sorted(f for f in files if f.endswith(suffix))
        if len(found) > 1:
            raise CheckpointError(f"hub id {repo!r} holds {len(found)} model files; name one: {repo}:{found[0]}")
        if found:
            return found[0]
    raise CheckpointError(f"hub id {repo!r} holds no model file ({', '.join(SUFFIXES)}); it has {', '.join(files[:8])}")
