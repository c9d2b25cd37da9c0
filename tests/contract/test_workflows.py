"""The workflows of .github: what they call is there, and what they fetch is pinned. That they work is seen only where they run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from local import fetch
from local.licences import policy
from local.parts import shipped

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"^\s*(?:- )?uses: [\w./-]+@[0-9a-f]{40} # v\d+(?:\.\d+)*$")


def jobs(file: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))["jobs"]
    return found


def commands() -> list[str]:
    steps = (step for file in FILES for job in jobs(file).values() for step in job.get("steps", ()))
    return [line for step in steps for line in str(step.get("run", "")).splitlines()]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_actions_are_pinned_by_commit(file: Path) -> None:
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if re.search(r"\buses:", line)]
    assert lines
    assert [line for line in lines if "uses: ./.github/" not in line and not PINNED.match(line)] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_workflow_is_granted_more_than_reading_unless_a_job_says_so(file: Path) -> None:
    assert yaml.safe_load(file.read_text(encoding="utf-8"))["permissions"] == {"contents": "read"}


def test_what_workflows_call_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    called = {target for line in commands() for target in re.findall(r"^make ([a-z-]+)", line)}
    assert called
    assert called <= targets
    files = {path for line in commands() for path in re.findall(r"(?<![\w/])((?:\.ci|deploy|tests|local)/[\w./-]+)", line)}
    assert files
    assert {path for path in files if not (REPOSITORY / path).exists()} == set()
    reused = [job["uses"] for file in FILES for job in jobs(file).values() if "uses" in job]
    assert all((REPOSITORY / path).exists() for path in reused)


def test_every_image_is_released_with_a_bill_that_is_made() -> None:
    released = jobs(REPOSITORY / ".github" / "workflows" / "release.yml")["images"]["strategy"]["matrix"]["include"]
    services = yaml.safe_load((REPOSITORY / "deploy" / "compose.yml").read_text(encoding="utf-8"))["services"].values()
    used = {body["image"] for body in services}
    assert {f"bionicpro/{image['image']}:0.1.0" for image in released} == {image for image in used if image.startswith("bionicpro/")}
    assert {image["bill"] for image in released} <= {*shipped(policy()), *fetch.PARTS}
    for image in released:
        text = (REPOSITORY / "deploy" / "images" / f"Dockerfile.{image['dockerfile']}").read_text(encoding="utf-8")
        assert not image["target"] or f" AS {image['target']}\n" in text
