"""What the system is made of: every part with its version, licence and checksum, by where it is used. Read from what pins it, and from what is installed."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageMetadata
from pathlib import Path
from typing import Any

from local import fetch, paths
from local.licences import Policy

SERVICES = ("processor", "reports", "bff", "operator")
"""Those with a lock and an image of their own, whose packages this environment holds."""
AIRFLOW = "airflow"
"""The same, but its packages are in an environment of their own."""
PINNED = re.compile(r"^(?P<name>[\w.-]+)(?:\[[\w,-]+\])?==(?P<version>[^\s;\\]+)(?P<rest>(?:.*\\\n)*.*)$", re.MULTILINE)
JAR = re.compile(r"(?P<name>.+?)-(?P<version>\d[\w.]*(?:[-.][\w.]+)*)\.jar$")
IMAGE = re.compile(r"^(?:\s*image:|FROM)\s+(?P<name>[\w./-]+):(?P<version>[\w.-]+)", re.MULTILINE)
JAVA_LICENCE = "Apache-2.0"
"""Of Kafka, of Debezium and of Keycloak, as their distributions say; the jars within them are listed, and are their makers' choice."""


@dataclass(frozen=True)
class Part:
    """``purl``: its type of package URL (pypi, npm, maven, docker). ``licence``: an SPDX expression; None where nobody says. ``hashes``: (algorithm, hex)."""

    purl: str
    name: str
    version: str
    licence: str | None = None
    hashes: tuple[tuple[str, str], ...] = ()


def python(lock: Path, policy: Policy, environment: Path | None = None) -> Iterator[Part]:
    """The packages that *lock* pins, with the licences that they say in *environment* (default: this one).

    Those that are for other platforms are not installed here: the policy has to know their licences.
    """
    places = {} if environment is None else {"path": [str(place) for place in environment.glob("lib/python3.*/site-packages")]}
    for found in PINNED.finditer(lock.read_text(encoding="utf-8")):
        hashes = tuple(("SHA-256", digest) for digest in sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})", found["rest"])))
        yield Part("pypi", found["name"], found["version"], _python_licence(found["name"], policy, places), hashes)


def _python_licence(name: str, policy: Policy, places: Mapping[str, Any]) -> str | None:
    if name in policy.packages:
        return policy.packages[name]
    installed = next(iter(Distribution.discover(name=name, **places)), None)
    return next((licence for words in _said(installed.metadata) if (licence := policy.identified(words))), None) if installed else None


def _said(told: PackageMetadata) -> Iterator[str]:
    """What a package's metadata say of its licence, the most exact first."""
    fields: Mapping[str, Any] = told.json
    yield fields.get("license_expression") or ""
    yield ((fields.get("license") or "").strip().splitlines() or [""])[0]
    yield from (each.rpartition(" :: ")[2] for each in fields.get("classifier", ()) if each.startswith("License"))


def npm(lock: Path) -> Iterator[Part]:
    """What the page is built of; not what only its checks need."""
    for path, package in json.loads(lock.read_text(encoding="utf-8"))["packages"].items():
        if path and not package.get("dev") and "version" in package:
            algorithm, _, digest = package.get("integrity", "").partition("-")
            hashes = ((algorithm.upper().replace("SHA", "SHA-"), b64decode(digest).hex()),) if digest else ()
            yield Part("npm", path.rpartition("node_modules/")[2], package["version"], package.get("license"), hashes)


def java(part: str) -> Iterator[Part]:
    """Every jar of *part* (see `fetch.PARTS`) as it lies in the cache: what Maven brought was verified, and archives are unpacked."""
    for jar in sorted(fetch.located()[part].rglob("*.jar")):
        found = JAR.match(jar.name)
        digest = hashlib.sha256(jar.read_bytes()).hexdigest()
        yield Part("maven", found["name"] if found else jar.stem, found["version"] if found else "", None, (("SHA-256", digest),))


def images(root: Path = paths.REPOSITORY) -> Iterator[Part]:
    """The images that are pulled, by name and tag."""
    files = (root / "deploy" / "compose.yml", *sorted((root / "deploy" / "images").glob("Dockerfile.*")))
    found = {(each["name"], each["version"]) for file in files for each in IMAGE.finditer(file.read_text(encoding="utf-8"))}
    yield from (Part("docker", name, version) for name, version in sorted(found) if not name.startswith("bionicpro/"))


def shipped(policy: Policy, root: Path = paths.REPOSITORY) -> dict[str, list[Part]]:
    """What we hand on: the packages in each service's image, and what the page is built of."""
    found = {service: list(python(root / "locks" / f"{service}.txt", policy)) for service in SERVICES}
    found[AIRFLOW] = list(python(root / "locks" / f"{AIRFLOW}.txt", policy, paths.AIRFLOW_VENV))
    return found | {"page": list(npm(root / "frontend" / "package-lock.json"))}
