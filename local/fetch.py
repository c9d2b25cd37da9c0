"""Fetch the Java parts through Maven into the cache, verified against ``artifacts.sha256``.

Standard library only. What is already there is not fetched again; an interrupted run goes on where it was, because
Maven keeps what it has and a folder counts only once all of its files are verified (its stamp is written last).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local import commands, paths

MAVEN_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
CHECKSUMS = Path(__file__).resolve().parent / "artifacts.sha256"
POMS = Path(__file__).resolve().parent / "maven"
PARTS = ("kafka", "debezium", "keycloak")
FOR_TESTS = ("verapdf",)
ATTEMPTS = 4

Report = Callable[[str], None]


class FetchError(Exception):
    """A part could not be fetched or is not what it should be; the message says which and what to do."""


def checksums(text: str) -> dict[str, dict[str, str]]:
    """``{part: {file name: sha256}}`` of the lines ``<sha256>  <part>/<file name>``."""
    parts: dict[str, dict[str, str]] = {part: {} for part in (*PARTS, *FOR_TESTS)}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            digest, _, name = line.partition("  ")
            part, _, file = name.partition("/")
            parts[part][file] = digest
    return parts


def folder_of(part: str, expected: Mapping[str, str]) -> Path:
    """Where *part* stands in the cache: its name carries what is in it, so another version never mixes with it."""
    return paths.cache() / f"{part}-{fingerprint(expected)}"


def fingerprint(expected: Mapping[str, str]) -> str:
    joined = "\n".join(f"{digest}  {name}" for name, digest in sorted(expected.items()))
    return hashlib.sha256(joined.encode()).hexdigest()[:12]


def fetch_all(report: Report, *, tests: bool = False) -> dict[str, Path]:
    """Every part, what only *tests* need where they are wanted, fetched if absent; the first alone (it brings Maven's own plugins), the others side by side. Idempotent."""
    expected = checksums(CHECKSUMS.read_text(encoding="utf-8"))
    first = {PARTS[0]: fetch(PARTS[0], expected[PARTS[0]], report)}
    others = (*PARTS[1:], *(FOR_TESTS if tests else ()))
    with ThreadPoolExecutor(max_workers=len(others)) as pool:
        rest = {part: pool.submit(fetch, part, expected[part], report) for part in others}
        return first | {part: future.result() for part, future in rest.items()}


def located(parts: Sequence[str] = PARTS) -> dict[str, Path]:
    """The folders of *parts*, which must have been fetched. Raises FetchError naming ``make prepare`` otherwise."""
    expected = checksums(CHECKSUMS.read_text(encoding="utf-8"))
    folders = {part: folder_of(part, expected[part]) for part in parts}
    missing = [part for part, folder in folders.items() if not _stamp(folder).exists()]
    if missing:
        raise FetchError(f"not fetched yet: {', '.join(missing)}. Run `make prepare`.")
    return folders


def fetch(part: str, expected: Mapping[str, str], report: Report) -> Path:
    folder = folder_of(part, expected)
    if _stamp(folder).exists():
        return folder
    staging = folder.with_name(folder.name + ".part")
    staging.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    report(f"fetching {part} with Maven")
    _maven_with_retries(part, staging, report)
    problems = differences(expected, digests(staging))
    if problems:
        shutil.rmtree(staging)
        raise FetchError(f"{part} is not what {CHECKSUMS.name} lists, nothing of it is used: {'; '.join(problems[:5])}")
    for archive in staging.glob("*.tar.gz"):
        report(f"unpacking {archive.name}")
        unpack(archive, staging)
        archive.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    staging.rename(folder)
    _stamp(folder).write_text("verified\n", encoding="utf-8")
    report(f"{part} is ready after {time.monotonic() - began:.0f} s")
    return folder


def digests(folder: Path) -> dict[str, str]:
    """sha256 by file name of the files directly in *folder*."""
    return {file.name: _sha256(file) for file in sorted(folder.iterdir()) if file.is_file()}


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """What is missing, surplus or different, in words; empty when all is as listed."""
    missing = [f"{name} is missing" for name in expected if name not in found]
    surplus = [f"{name} is not listed" for name in found if name not in expected]
    changed = [f"{name} has another sha256" for name, digest in expected.items() if found.get(name, digest) != digest]
    return missing + surplus + changed


def unpack(archive: Path, folder: Path) -> None:
    """Unpack *archive* below *folder*, refusing members that would land outside it."""
    with tarfile.open(archive) as tar:
        root = folder.resolve()
        for member in tar.getmembers():
            if not (root / member.name).resolve().is_relative_to(root):
                raise FetchError(f"{archive.name} holds a path outside its folder: {member.name}")
        tar.extractall(root)  # noqa: S202  every member was checked above


def _maven_with_retries(part: str, into: Path, report: Report) -> None:
    delay_s = 2.0
    for attempt in range(1, ATTEMPTS + 1):
        finished = _maven(part, into)
        if finished.returncode == 0:
            return
        reason = next((line for line in finished.stdout.splitlines() if "ERROR" in line), "no error line")
        if attempt < ATTEMPTS:
            report(f"Maven failed for {part} ({reason.strip()[:160]}); again in {delay_s:.0f} s ({attempt} of {ATTEMPTS})")
            commands.pause(delay_s)
            delay_s *= 3
    raise FetchError(
        f"Maven could not fetch {part} in {ATTEMPTS} attempts. Last: {reason.strip()[:400]}. Check the network and ~/.m2/settings.xml."
    )


def _maven(part: str, into: Path) -> subprocess.CompletedProcess[str]:
    # Without a locale Java would not find a folder whose name is not ASCII.
    command = ["mvn", "-B", "-ntp", "-f", str(POMS / f"{part}.xml"), MAVEN_GOAL, f"-DoutputDirectory={into}"]
    return commands.run(command, environment=os.environ | paths.LOCALE)


def _stamp(folder: Path) -> Path:
    return folder / ".verified"


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
