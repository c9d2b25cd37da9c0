"""What a bare root file system takes over from this machine so that packages can be reached: certificates, proxies, indexes. Copied when it runs, never kept.

Standard library only.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

# Of the system, at the same place there.
FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt", "/usr/local/share/ca-certificates")
# Of our home folder, in each home folder there.
HOME_FILES = (".npmrc", ".config/pip/pip.conf", ".pip/pip.conf", ".config/uv/uv.toml", ".m2/settings.xml")
# What was fetched before, to save time: uv's, Maven's and npm's.
CACHES = (".cache/uv", ".m2/repository", ".npm")
APT_SETTINGS = Path("etc/apt/apt.conf.d/99this-machine")
_VARIABLE = re.compile(r"(^|_)proxy$|^(pip|uv|npm_config)_|^ssl_cert_|_ca_certs$|_ca_bundle$|^git_ssl_|^maven_opts$", re.IGNORECASE)


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Those of *environment* that say how packages are reached."""
    return {name: value for name, value in environment.items() if _VARIABLE.search(name)}


def take_over(root: Path) -> None:
    """Copy this machine's settings into *root*. Its certificates count there once ``update-ca-certificates`` ran."""
    for name in FILES:
        _copy(Path(name), root / name.lstrip("/"))
    (root / APT_SETTINGS).write_text(_apt_settings(), encoding="utf-8")


def take_home(home: Path, *, caches: bool) -> None:
    """Copy our own settings, and *caches* where asked for, into the home folder *home*."""
    for name in (*HOME_FILES, *(CACHES if caches else ())):
        _copy(Path.home() / name, home / name)


def _copy(source: Path, target: Path) -> None:
    if not source.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        target.unlink(missing_ok=True)  # a link there would lead out of the root file system
        shutil.copyfile(source, target)


def _apt_settings() -> str:
    """How our apt reaches its mirrors. What it does besides (hooks, languages) is this machine's own."""
    if shutil.which("apt-config") is None:
        return ""
    dumped = subprocess.run(
        ["apt-config", "dump", "--no-empty", "--format", '%f "%v";%n', "Acquire"],
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    wanted = re.compile(r"^Acquire::(https?|Check|Retries)", re.IGNORECASE)
    return "".join(f"{line}\n" for line in dumped.stdout.splitlines() if wanted.match(line))
