"""Where things are. Standard library only: the bootstrap runs it before anything is installed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
TEMPLATES = Path(__file__).resolve().parent / "templates"
INSTANCES = REPOSITORY / ".local"
VENV = REPOSITORY / ".venv"
PYTHON = VENV / "bin" / "python"
AIRFLOW_VENV = REPOSITORY / ".venv-airflow"
ROOT_CACHE = Path("/var/cache/bionicpro")
ROOT_DATA = Path("/var/lib/bionicpro")
# For programs that read file names by the locale: Java does.
LOCALE: dict[str, str] = {"LC_ALL": "C.UTF-8"}


def is_root() -> bool:
    return os.geteuid() == 0


def cache() -> Path:
    """The folder, outside the repository, that holds everything fetched: ``$BIONICPRO_CACHE``, else one by user.

    Root's stands below /var so that the account that runs PostgreSQL can enter it.
    """
    chosen = os.environ.get("BIONICPRO_CACHE")
    if chosen:
        folder = Path(chosen).expanduser().resolve()
    elif is_root():
        folder = ROOT_CACHE
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "bionicpro"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def enterable_by_others(path: Path) -> bool:
    """Whether an account without rights of its own can walk to *path* (each existing folder on the way has o+x)."""
    resolved = path.resolve()
    return all(_others_may_enter(folder) for folder in (resolved, *resolved.parents) if folder.is_dir())


def let_others_enter(folder: Path) -> None:
    """Give everybody the right to walk through *folder*, and through the one of ours above it, whatever the umask was when they were made."""
    for each in (folder, folder.parent):
        if each.name == "bionicpro" or each == folder:
            each.chmod(each.stat().st_mode | stat.S_IXOTH)


def let_others_read(folder: Path) -> None:
    """Give everybody the right to read what is in *folder*, and to run what its owner may run."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            run = stat.S_IXGRP | stat.S_IXOTH if mode & stat.S_IXUSR else 0
            path.chmod(mode | stat.S_IRGRP | stat.S_IROTH | run)


def _others_may_enter(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_IXOTH)
