"""What the machine must offer, said in one sentence where it does not. Standard library only."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local import paths

MIN_PYTHON = (3, 11)
MIN_JAVA = 17
MIN_MEMORY_GIB = 5.0
ARCHITECTURES = {"x86_64", "aarch64"}
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SNAP_CHROMIUM = Path("/snap/bin/chromium")  # often not on root's path
# What the files of some server, a class path or the page's build cannot hold in a path, whatever the quoting.
IMPOSSIBLE = frozenset(",:;#%?*\\$")


class MachineError(Exception):
    """The machine cannot run the system; the message says why and what to do."""


@dataclass(frozen=True)
class Need:
    """Something that is absent: as a person knows it, and Debian's package."""

    what: str
    package: str


def check() -> None:
    """Raises MachineError on another platform, in a folder that cannot be, or with too little memory or disk."""
    problem = unsupported(platform.system(), platform.machine(), sys.version_info[:2])
    problem = problem or impossible_path(paths.REPOSITORY) or impossible_path(paths.cache())
    problem = problem or too_little_memory(available_memory_gib()) or too_little_disk(places(), free_disk)
    if problem:
        raise MachineError(problem)


def impossible_path(path: Path) -> str | None:
    wrong = sorted({character for character in str(path) if character in IMPOSSIBLE or not character.isprintable()})
    if not wrong:
        return None
    return f"{str(path)!r} holds {' '.join(map(repr, wrong))}, which the files of some servers cannot hold. Move it, for instance to {Path.home() / 'bionicpro'}."


def unsupported(system: str, machine: str, python: tuple[int, int]) -> str | None:
    if system != "Linux" or machine not in ARCHITECTURES:
        return f"this runs on Linux (x86-64, arm64); here is {system} {machine}. Use deploy/compose.yml there."
    if python < MIN_PYTHON:
        return f"Python {'.'.join(map(str, MIN_PYTHON))} or newer is needed, here is {'.'.join(map(str, python))}. Run make with PYTHON=python3.x."
    return None


def too_little_memory(memory_gib: float) -> str | None:
    if memory_gib < MIN_MEMORY_GIB:
        return f"{MIN_MEMORY_GIB:.0f} GiB of free memory are needed, {memory_gib:.1f} GiB are available. Close something, or use a larger machine."
    return None


def places() -> dict[Path, float]:
    """Where something will be written, and how many GiB: the environment, the page and data; servers; packages of uv, Maven and npm; PostgreSQL's data."""
    wanted: dict[Path, float] = {}
    for place, gib in (
        (paths.REPOSITORY, 2.0),
        (paths.cache(), 1.0),
        (Path.home(), 2.0),
        *([(paths.ROOT_DATA, 1.0)] if paths.is_root() else []),
    ):
        wanted[place] = wanted.get(place, 0.0) + gib
    return wanted


def free_disk(place: Path) -> tuple[int, float]:
    """The file system that *place* stands on, or will, and how many GiB are free there."""
    existing = next(folder for folder in (place, *place.parents) if folder.exists())
    return existing.stat().st_dev, shutil.disk_usage(existing).free / 1024**3


def too_little_disk(wanted: Mapping[Path, float], free: Callable[[Path], tuple[int, float]]) -> str | None:
    """What stands on one file system needs its room together."""
    systems: dict[int, list[Path]] = {}
    for place in wanted:
        systems.setdefault(free(place)[0], []).append(place)
    for together in systems.values():
        needed, there = sum(wanted[place] for place in together), free(together[0])[1]
        if there < needed:
            return f"{needed:.0f} GiB of free disk are needed for {', '.join(map(str, together))}; {there:.1f} GiB are free. Make room."
    return None


def available_memory_gib() -> float:
    """What the kernel says can be used without swapping, and no more than this control group may."""
    meminfo = Path("/proc/meminfo").read_text(encoding="ascii")
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo, re.MULTILINE)
    available = int(found[1]) / 1024**2 if found else float("inf")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.exists() and (text := limit.read_text(encoding="ascii").strip()).isdigit():
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
        available = min(available, (int(text) - used) / 1024**3)
    return available


def missing_tools(*, browser: bool) -> list[Need]:
    """Everything that is absent and that we cannot bring along: for the system, and for the tests where *browser*."""
    absent = [] if java_version() >= MIN_JAVA else [Need(f"a Java runtime {MIN_JAVA} or newer", "default-jre-headless")]
    if shutil.which("mvn") is None:
        absent.append(Need("Maven", "maven"))
    if not any(importlib.util.find_spec(module) for module in ("pip", "ensurepip")):
        absent.append(Need("Python's venv module", "python3-venv"))
    absent += for_building(platform.machine(), compiler=shutil.which("cc") is not None, headers=_has_headers())
    if browser and chromium() is None:
        absent.append(Need("Chromium", "chromium"))
    if browser and not _has_library("libatomic.so.1"):
        absent.append(Need("libatomic.so.1 (for Playwright)", "libatomic1"))
    return absent


def for_building(machine: str, *, compiler: bool, headers: bool) -> list[Need]:
    """What is absent to build the one package that has no wheel for *machine*; the others have wheels for x86-64 and arm64, from Python 3.11 to 3.14."""
    if machine == "x86_64":
        return []
    needs = [] if compiler else [Need("a C compiler (faust-streaming has no wheel for arm64)", "gcc")]
    return needs if headers else [*needs, Need("Python's headers", "python3-dev")]


def not_to_be_had(needs: Sequence[Need], distribution: str) -> str | None:
    """What apt does not have on *distribution* (os-release's ID), and what to do."""
    if distribution == "ubuntu" and any(need.package == "chromium" for need in needs):
        return "Chromium is missing, and Ubuntu has no apt package of it: `sudo snap install chromium`, or install Google Chrome's .deb, then again."
    return None


def distribution() -> str:
    """ID of /etc/os-release: ``debian``, ``ubuntu``, …; empty where there is none."""
    try:
        return platform.freedesktop_os_release().get("ID", "")
    except OSError:
        return ""


def sentence(needs: Sequence[Need], *, apt: bool) -> str:
    """What is missing and how to get it, in one sentence."""
    how = f"sudo apt-get install {' '.join(need.package for need in needs)}" if apt else "with your system's packages"
    old = java_version()
    note = f" (The Java here is {old}; where a newer one is installed too, let JAVA_HOME name it.)" if 0 < old < MIN_JAVA else ""
    return f"missing on this machine: {', '.join(need.what for need in needs)}. Install {'it' if len(needs) == 1 else 'them'}: {how}.{note}"


def chromium() -> Path | None:
    """The browser of the tests, under whichever of its names."""
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    return Path(found) if found else SNAP_CHROMIUM if SNAP_CHROMIUM.exists() else None


def _has_headers() -> bool:
    return (Path(sysconfig.get_path("include")) / "Python.h").exists()


def _has_library(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def java_version() -> int:
    """The major version of the ``java`` that the servers are run with; 0 where there is none."""
    home = os.environ.get("JAVA_HOME")
    program = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if program is None or not Path(program).exists():
        return 0
    answer = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=600, check=False)
    return parse_java_version(answer.stderr)


def parse_java_version(text: str) -> int:
    """17 from ``openjdk version "17.0.15" …``; 8 from ``"1.8.0_442"``; 0 from anything else."""
    found = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(found[1]) if found else 0


def system_node() -> Path | None:
    """The system's Node.js and npm's folder if they are there and recent enough for the front end's build."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=600, check=False)
    return Path(node).parent if node_suffices(answer.stdout) else None


def node_suffices(version: str) -> bool:
    """Whether ``v20.20.2`` is ``^20.19.0 || >=22.12.0``, as frontend/package.json asks."""
    found = re.match(r"v(\d+)\.(\d+)", version)
    if found is None:
        return False
    major, minor = int(found[1]), int(found[2])
    return (major == 20 and minor >= 19) or (major == 22 and minor >= 12) or major > 22
