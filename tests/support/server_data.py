"""The data of a server of an instance: where they are, and a copy that is made, or put back, while the server rests."""

from __future__ import annotations

import subprocess
from pathlib import Path

from local.instance import Instance
from local.servers.postgres import data_directory

COPY_LIMIT_S = 120


def data_of(instance: Instance, server: str) -> Path:
    return (data_directory(instance) if server == "postgres" else instance.data(server)).resolve()


def save(data: Path) -> None:
    """Copy *data* beside them, in place of an earlier copy."""
    remove(copy_of(data))
    copy(data, copy_of(data))


def restore(data: Path) -> None:
    """Put the copy in the place of *data*; there is none any more then."""
    remove(data)
    copy_of(data).rename(data)


def copy_of(data: Path) -> Path:
    return data.with_name(f"{data.name}-copy")


def copy(source: Path, target: Path) -> None:
    """As it is, with its owners; into *target* where that is there."""
    subprocess.run(["cp", "-a", f"{source}/." if target.exists() else str(source), str(target)], check=True, timeout=COPY_LIMIT_S)


def remove(folder: Path) -> None:
    subprocess.run(["rm", "-rf", str(folder)], check=True, timeout=COPY_LIMIT_S)
