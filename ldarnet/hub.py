"""Model files from the Hugging Face hub, kept in its own cache."""

from pathlib import Path, PurePosixPath

from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,  # of the network library beneath, which changes between versions of the hub's
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from ldarnet.provenance import CheckpointError

SUFFIXES = (".safetensors", ".pt", ".pth")
NUM_NAMES_SHOWN = 8
TIMEOUT_S = 10.0


def download(hub_id: str) -> Path:
    """The local path of the one model file of "owner/name", or of the file named in "owner/name:file".

    Uses the cached copy where the hub cannot be reached. Raises CheckpointError.
    """
    repo, _, filename = hub_id.partition(":")
    try:
        wanted = filename or _only_model_file(repo, _remote_files(repo))
        return Path(hf_hub_download(repo, _inside(repo, wanted)))
    except LocalEntryNotFoundError as error:  # how the hub's library says that it got no answer
        return _cached(hub_id, repo, filename, error)
    except HFValidationError as error:
        raise CheckpointError(f"hub id {hub_id!r}: {_first_line(error)}") from None
    except GatedRepoError:
        raise CheckpointError(
            f"hub id {hub_id!r}: its owners ask for consent: accept their terms on its page, then `hf auth login`"
        ) from None
    except RepositoryNotFoundError:
        raise CheckpointError(
            f"hub id {hub_id!r}: there is no such repository, or it is private (then `hf auth login` first). "
            "If you meant a file on this machine, it does not exist"
        ) from None
    except EntryNotFoundError:
        raise CheckpointError(f"hub id {hub_id!r}: the repository has no file {filename!r}") from None
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status in (401, 403):
            raise CheckpointError(
                f"hub id {hub_id!r}: the hub refuses access (status {status}); log in with `hf auth login`"
            ) from None
        return _cached(hub_id, repo, filename, error)
    except (HTTPError, OSError) as error:
        return _cached(hub_id, repo, filename, error)


def _remote_files(repo: str) -> list[str]:
    # Not `list_repo_files`: that tries for 23 seconds before it gives up on a hub that does not answer.
    siblings = HfApi().model_info(repo, timeout=TIMEOUT_S).siblings
    return [sibling.rfilename for sibling in siblings or []]


def _cached(hub_id: str, repo: str, filename: str, reason: Exception) -> Path:
    try:
        folder = Path(snapshot_download(repo, local_files_only=True))
    except (OSError, LocalEntryNotFoundError):
        files: list[str] = []
    else:
        files = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    if not any(f == filename or (not filename and f.endswith(SUFFIXES)) for f in files):
        raise CheckpointError(
            f"hub id {hub_id!r}: it cannot be fetched and no copy is cached ({_first_line(reason)}). "
            "If you meant a file on this machine, it does not exist"
        ) from None
    return folder / _inside(repo, filename or _only_model_file(repo, files))


def _only_model_file(repo: str, files: list[str]) -> str:
    for suffix in SUFFIXES:
        found = sorted(f for f in files if f.endswith(suffix))
        if len(found) > 1:
            raise CheckpointError(
                f"hub id {repo!r} holds {len(found)} model files ({_listed(found)}); name one: {repo}:{found[0]}"
            )
        if found:
            return found[0]
    raise CheckpointError(f"hub id {repo!r} holds no model file ({', '.join(SUFFIXES)}); it has {_listed(files)}")


def _inside(repo: str, filename: str) -> str:
    """The file name, unless it leads out of the repository's folder."""
    if filename.startswith("/") or "\\" in filename or ".." in PurePosixPath(filename).parts:
        raise CheckpointError(f"hub id {repo!r}: {filename!r} is no file name inside a repository")
    return filename


def _listed(files: list[str]) -> str:
    more = f" and {len(files) - NUM_NAMES_SHOWN} more" if len(files) > NUM_NAMES_SHOWN else ""
    return (", ".join(sorted(files)[:NUM_NAMES_SHOWN]) or "no files") + more


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
