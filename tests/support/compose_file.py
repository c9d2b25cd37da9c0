"""deploy/compose.yml as tests read it: what each service is given, as variables and as files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from service_kit.environment_files import read
from tests.support.waiting import PATIENCE_S

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy"
TEXT = (DEPLOY / "compose.yml").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
SECRET = "a-secret-of-the-test-0123456789"


def variables(service: str) -> dict[str, str]:
    """The service's variables as Compose would fill them in."""
    environment: dict[str, object] = SERVICES[service].get("environment", {})
    return {name: VARIABLE.sub(lambda found: found[2], str(value)) for name, value in environment.items()}


def secrets(service: str, secret: str = SECRET) -> dict[str, str]:
    """The service's files below /run/secrets, by name; each holds *secret*."""
    return {each.get("target", each["source"]): secret for each in SERVICES[service].get("secrets", ())}


def given_to(service: str, secret: str = SECRET) -> dict[str, str]:
    """What the service reads, wherever from."""
    return variables(service) | secrets(service, secret)


def put(context: pytest.MonkeyPatch, service: str, folder: Path, secret: str = SECRET) -> None:
    """Make the variables of *service* the only ones of ours in this process's environment, and *folder* with its files what stands below /run/secrets."""
    for name in [name for name in os.environ if name.startswith("BIONICPRO_")]:
        context.delenv(name)
    for name, value in variables(service).items():
        context.setenv(name, value)
    folder.mkdir()
    for name, value in secrets(service, secret).items():
        (folder / name).write_text(value, encoding="utf-8")
    context.setattr("service_kit.settings.SECRETS_FOLDER", folder)


def make_secrets(file: Path) -> dict[str, str]:
    """Run deploy/make-secrets for *file*; what is in it then."""
    subprocess.run([sys.executable, str(DEPLOY / "make-secrets"), str(file)], check=True, capture_output=True, timeout=PATIENCE_S)
    return read(file)
