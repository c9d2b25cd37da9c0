"""The worked example of ``docs/adding-a-metric.md``: its edits, made in a copy of the project."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "adding-a-metric.md"
NEEDED = (
    "schemas",
    "stream_processor",
    "reconciliation",
    "reports_api",
    "service_kit",
    "clickhouse",
    "connectors",
    "simulator",
    "cli",
    "tests",
)


def edits(page: str) -> list[tuple[str, list[str]]]:
    """The page's edits in order: (file, lines of the block)."""
    found, file = [], ""
    for match in re.finditer(r"^`([\w./-]+)`|```diff\n(.*?)```", page.partition("## The edits")[2], re.MULTILINE | re.DOTALL):
        if match[1]:
            file = match[1]
        else:
            found.append((file, match[2].splitlines()))
    return found


def edited(text: str, block: list[str], file: str) -> str:
    """*text* with the edit. Raises AssertionError where its place is not there exactly once."""
    if not {line[:1] for line in block} - {"+"}:
        return text + "".join(f"{line[1:]}\n" for line in block)
    before = "\n".join(line[1:] for line in block if line[:1] in " -")
    after = "\n".join(line[1:] for line in block if line[:1] in " +")
    assert text.count(before) == 1, f"{file}: the place of an edit stands {text.count(before)} times:\n{before}"
    return text.replace(before, after)


def copy_with_the_metric(folder: Path) -> Path:
    """A copy of the project's code in *folder*, with the page's edits made."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *NEEDED, "pyproject.toml"], cwd=REPOSITORY, capture_output=True, check=True)  # fmt: skip
    for name in listed.stdout.decode().split("\0"):
        if name and (REPOSITORY / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, target)
    for file, block in edits(PAGE.read_text("utf-8")):
        path = folder / file
        path.write_text(edited(path.read_text("utf-8") if path.exists() else "", block, file), "utf-8")
    return folder
