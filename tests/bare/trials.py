"""What is tried in a bare root file system, in order: a user without packages, root, the same user once root has installed them. Standard library only."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local import paths
from tests.bare.rootfs import ROOT, Account, Report, TrialError, begin, entered, follow
from tests.bare.this_machine import take_home, take_over, variables

WEARER = Account("wearer", "/home/wearer")
UP = " is up after "
# What one sentence must name to a user who may install nothing.
MISSING = ("a Java runtime", "Maven", "Python's venv module")
QUICK_S, UP_S, WELL_S, DOWN_S = 300.0, 3600.0, 900.0, 600.0


@dataclass(frozen=True)
class Bare:
    """A root file system that is mounted, ``logs`` outside it, and what its programs get of our environment."""

    root: Path
    logs: Path
    variables: Mapping[str, str]
    report: Report

    def run(self, account: Account, script: str, deadline_s: float = QUICK_S, codes: tuple[int, ...] = (0,)) -> str:
        """Run *script* to its end; what it said. Raises TrialError where it ends with another code."""
        log = self.logs / f"{len(list(self.logs.iterdir())):02}-{account.name}.log"
        return follow(entered(self.root, account, script, self.variables), log, deadline_s, self.report, codes)


def all_trials(root: Path, logs: Path, environment: Mapping[str, str], *, caches: bool, browser: bool, report: Report) -> None:
    """Everything, in the mounted *root*. Raises TrialError at the first thing that is not as it should be."""
    bare = Bare(root, logs, variables(environment), report)
    take_over(root)
    bare.run(ROOT, "update-ca-certificates && useradd --create-home --shell /bin/bash wearer")
    for account in (ROOT, WEARER):
        take_home(root / account.home.lstrip("/"), caches=caches)
    bare.run(ROOT, "chown -R wearer: /home/wearer")
    told = bare.run(ROOT, ". /etc/os-release; echo $PRETTY_NAME; python3 --version").split("\n")
    report(f"{told[0]}, {told[1]}")

    # As somebody clones it: names with a blank, files that nobody else may read.
    belonging = {ROOT: "/root/my clones/bionicpro", WEARER: "/home/wearer/bionicpro"}
    for account, folder in belonging.items():
        clone(bare, account, folder)
    before_any_set_up(bare, belonging[WEARER])
    without_packages(bare, belonging[WEARER])
    starts_and_stops(bare, ROOT, belonging[ROOT])
    starts_and_stops(bare, WEARER, belonging[WEARER])
    if browser:
        in_a_browser(bare, belonging[ROOT])


def clone(bare: Bare, account: Account, folder: str) -> None:
    """What is committed, in *folder* there, as *account* would have it with a umask of 077."""
    inside = bare.root / folder.lstrip("/")
    bare.run(account, f"umask 077; mkdir -p {shlex.quote(str(Path(folder).parent))}")
    subprocess.run(
        ["git", "clone", "--quiet", "--no-hardlinks", "--depth=1", f"file://{paths.REPOSITORY}", str(inside)], check=True, umask=0o077
    )
    bare.run(ROOT, f"chown -R {account.name}: {shlex.quote(folder)}")


def before_any_set_up(bare: Bare, folder: str) -> None:
    """Whoever stops or resets what was never made is told how to begin."""
    for command in ("make down", "make reset"):
        said = bare.run(WEARER, f"cd {shlex.quote(folder)} && {command}", codes=(2,))
        expect("run make up" in said, f"`{command}` before any set-up does not say to run make up: {said}")
    bare.report("make down, make reset before any set-up: told to run make up")


def without_packages(bare: Bare, folder: str) -> None:
    """All that is missing is said at once, in one sentence, with the command that installs it."""
    said = bare.run(WEARER, f"cd {shlex.quote(folder)} && make up", codes=(2,))
    sentence = next((line for line in said.splitlines() if line.startswith("error: missing on this machine")), "")
    unnamed = [name for name in MISSING if name not in sentence]
    expect(
        not unnamed and "apt-get install" in sentence, f"`make up` without packages does not say {unnamed or 'how to install them'}: {said}"
    )
    bare.report(f"without packages: {sentence}")


def starts_and_stops(bare: Bare, account: Account, folder: str) -> None:
    """``make up`` until ``bionicpro status`` says that all is well, then ``make down`` from elsewhere."""
    enter = f"umask 077; cd {shlex.quote(folder)} && "
    up = begin(entered(bare.root, account, f"{enter} exec make up", bare.variables), bare.logs / f"up-{account.name}.log")
    try:
        up.until(lambda: UP in up.said, f"make up as {account.name}", UP_S, bare.report)
        bare.report(f"{account.name}:{up.said.partition(UP)[0].splitlines()[-1]}{UP}{up.said.partition(UP)[2].splitlines()[0]}")
        status = begin(
            entered(bare.root, account, f"{enter} until .venv/bin/bionicpro status; do sleep 3; done", bare.variables),
            bare.logs / f"status-{account.name}.log",
        )
        try:
            status.until(lambda: status.process.poll() == 0, f"bionicpro status as {account.name}", WELL_S, bare.report)
        finally:
            status.end()
        bare.report(f"{account.name}: all is well")
        bare.run(account, f"{enter} make down", DOWN_S)
        up.until(lambda: up.process.poll() is not None, "the end of make up", DOWN_S, bare.report)
        expect(up.process.returncode == 0, f"make up ended with {up.process.returncode} after make down: {up.said[-500:]}")
        bare.report(f"{account.name}: down")
    finally:
        up.end()
    left = bare.run(account, f"{enter} make down")
    expect("was not running" in left, f"something ran on after make down: {left}")


def in_a_browser(bare: Bare, folder: str) -> None:
    """A test in a real browser, with what the set-up installs for it."""
    bare.run(ROOT, f"umask 077; cd {shlex.quote(folder)} && make test ARGS=tests/e2e/test_page.py", UP_S)
    bare.report("root: make test in a browser")


def expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise TrialError(otherwise)


def remove(root: Path) -> None:
    """Delete *root*. Raises TrialError where something is mounted there still: this machine's own folders would go."""
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    inside = [place for place in mounted if place.startswith(f"{root}/")]
    expect(not inside, f"{root} is left: still mounted: {', '.join(inside)}")
    shutil.rmtree(root, ignore_errors=True)
