"""A bare root file system: made by debootstrap, once for each release and kept in the cache; copied for a trial; entered by chroot.

Standard library only.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from local import paths

PACKAGES = ("git", "make", "python3", "ca-certificates")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LOOK_S = 0.5
TELL_EVERY_S = 30.0
END_LIMIT_S = 20.0
LAST_WORDS = 1500

Report = Callable[[str], None]


class TrialError(Exception):
    """A step of a trial did not do what it should; the message says which, and what was seen."""


@dataclass(frozen=True)
class Release:
    """A distribution's release as debootstrap knows it; ``script`` where debootstrap does not know it by name yet, and so has no mirror of it either."""

    name: str
    components: str = "main"
    script: str | None = None


RELEASES = {release.name: release for release in (Release("bookworm"), Release("trixie"), Release("noble", "main,universe", "gutsy"))}


@dataclass(frozen=True)
class Account:
    name: str
    home: str


ROOT = Account("root", "/root")


def base(release: Release, mirror: str | None, keyring: Path | None, deadline_s: float, report: Report) -> Path:
    """The untouched root file system of *release*. An interrupted debootstrap leaves nothing that counts as one.

    *mirror*: of its packages; None: debootstrap's own. Raises TrialError where it has none.
    """
    folder = paths.cache() / "bare" / release.name
    if not folder.exists():
        if release.script and not mirror:
            raise TrialError(f"debootstrap has no mirror of {release.name}: name one with --mirror")
        report(f"{release.name}: debootstrap")
        partial = folder.with_name(f"{release.name}.part")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", f"--components={release.components}"]
        command += [f"--keyring={keyring}"] if keyring else []
        source = [mirror, *([release.script] if release.script else [])] if mirror else []
        log = folder.with_name(f"{release.name}.log")
        follow([*command, release.name, str(partial), *source], log, deadline_s, report)
        partial.rename(folder)
    return folder


def copied(original: Path, root: Path) -> None:
    root.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(original), str(root)], check=True)
    # Whoever made the folder above kept it for himself; here it is the root of everything.
    root.chmod(0o755)


def mount(root: Path) -> None:
    """What a running system has in *root*. Call in a mount and a process namespace of its own: they end with it, however it ends."""
    for kind, place in (("proc", "proc"), ("sysfs", "sys")):
        _run("mount", "-t", kind, kind, str(root / place))
    _run("mount", "--rbind", "/dev", str(root / "dev"))
    _run("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", str(root / "dev/shm"))


def entered(root: Path, account: Account, script: str, environment: Mapping[str, str]) -> list[str]:
    """The command that runs *script* in *root* as *account*, with no variable of ours but *environment*."""
    variables = {"PATH": PATH, "HOME": account.home, "USER": account.name, "LOGNAME": account.name, "TERM": "dumb"} | dict(environment)
    clean = ["env", "-i", *(f"{name}={value}" for name, value in variables.items())]
    return ["chroot", f"--userspec={account.name}:", str(root), *clean, "bash", "-c", script]


@dataclass(frozen=True)
class Started:
    """A program in the background; ``log`` holds what it writes."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def until(self, condition: Callable[[], bool], what: str, deadline_s: float, report: Report) -> None:
        """Until *condition*. Raises TrialError where the program ends before, or at the deadline."""
        began = told = time.monotonic()
        while not condition():
            now = time.monotonic()
            if self.process.poll() is not None and not condition():
                raise TrialError(f"{what}: ended with {self.process.returncode}. Last:\n{self.said[-LAST_WORDS:]}")
            if now - began > deadline_s:
                raise TrialError(f"{what}: not within {deadline_s:.0f} s. Last:\n{self.said[-LAST_WORDS:]}")
            if now - told > TELL_EVERY_S:
                told = now
                last = (self.said.strip().splitlines() or [""])[-1]
                report(f"  … {what} since {now - began:.0f} s: {last.strip()[:150]}")
            time.sleep(LOOK_S)

    def end(self) -> None:
        """End it with all that it started in its process group. Idempotent."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None:
                os.killpg(self.process.pid, number)
                try:
                    self.process.wait(END_LIMIT_S)
                except subprocess.TimeoutExpired:
                    continue


def begin(command: list[str], log: Path) -> Started:
    with log.open("wb") as output:
        return Started(
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True), log
        )


def follow(command: list[str], log: Path, deadline_s: float, report: Report, codes: tuple[int, ...] = (0,)) -> str:
    """Run *command* to its end; what it said. Raises TrialError where it ends with a code that is not of *codes*, or not in time."""
    what = " ".join(command)[-80:]
    started = begin(command, log)
    try:
        started.until(lambda: started.process.poll() is not None, what, deadline_s, report)
    finally:
        started.end()
    if started.process.returncode not in codes:
        wanted = " or ".join(map(str, codes))
        raise TrialError(f"`{what}` ended with {started.process.returncode}, not {wanted}. Last:\n{started.said[-LAST_WORDS:]}")
    return started.said


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
