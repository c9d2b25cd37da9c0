"""What the machine must offer, said in one sentence where it does not. Standard library only."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from local import paths

MIN_PYTHON = (3, 11)
MIN_JAVA = 17
MIN_MEMORY_GIB = 5.0
MIN_DISK_GIB = 6.0
ARCHITECTURES = {"x86_64", "aarch64"}
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class MachineError(Exception):
    """The machine cannot run the system; the message says why and what to do."""


def check() -> None:
    """Raises MachineError on another platform, or with too little memory or disk."""
    problem = unsupported(platform.system(), platform.machine(), sys.version_info[:2])
    problem = problem or too_little(available_memory_gib(), shutil.disk_usage(paths.REPOSITORY).free / 1024**3)
    if problem:
        raise MachineError(problem)


def unsupported(system: str, machine: str, python: tuple[int, int]) -> str | None:
    if system != "Linux" or machine not in ARCHITECTURES:
        return f"this runs on Linux (x86-64, arm64); here is {system} {machine}. Use deploy/compose.yml there."
    if python < MIN_PYTHON:
        return f"Python {'.'.join(map(str, MIN_PYTHON))} or newer is needed, here is {'.'.join(map(str, python))}. Run make with PYTHON=python3.x."
    return None


def too_little(memory_gib: float, disk_gib: float) -> str | None:
    if memory_gib < MIN_MEMORY_GIB:
        return f"{MIN_MEMORY_GIB:.0f} GiB of free memory are needed, {memory_gib:.1f} GiB are available. Close something, or use a larger machine."
    if disk_gib < MIN_DISK_GIB:
        return f"{MIN_DISK_GIB:.0f} GiB of free disk are needed, {disk_gib:.1f} GiB are free. Make room."
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


def missing_tools(*, browser: bool) -> list[str]:
    """Debian packages of the tools that are absent: a Java runtime, Maven, and Chromium where tests need it."""
    packages = [] if java_version() >= MIN_JAVA else ["default-jre-headless"]
    if shutil.which("mvn") is None:
        packages.append("maven")
    if browser and not any(shutil.which(name) for name in CHROMIUM):
        packages.append("chromium")
    return packages


def java_version() -> int:
    """The major version of ``java``; 0 where there is none."""
    home = os.environ.get("JAVA_HOME")
    program = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if program is None or not Path(program).exists():
        return 0
    answer = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=False)
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
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60, check=False)
    return Path(node).parent if node_suffices(answer.stdout) else None


def node_suffices(version: str) -> bool:
    """Whether ``v20.20.2`` is ``^20.19.0 || >=22.12.0``, as frontend/package.json asks."""
    found = re.match(r"v(\d+)\.(\d+)", version)
    if found is None:
        return False
    major, minor = int(found[1]), int(found[2])
    return (major == 20 and minor >= 19) or (major == 22 and minor >= 12) or major > 22
