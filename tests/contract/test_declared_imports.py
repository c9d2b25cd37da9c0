"""Each image holds what its programs import: the folders that it copies, and packages that its extra of pyproject.toml declares."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IMAGES = {
    match[1]: text
    for file in sorted((REPOSITORY / "deploy/images").glob("Dockerfile.*"))
    if (match := re.search(r"^COPY locks/(\w+)\.txt", text := file.read_text(encoding="utf-8"), re.MULTILINE))
    if match[1]
    != "airflow"  # whose lock is none of the project's extras: test_compose_airflow.py imports the Dag from what its image copies
}
DISTRIBUTIONS = packages_distributions()


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(extra: str) -> set[str]:
    """The distributions that *extra* installs by its own words, those of every program and of extras that it names included."""
    found: set[str] = set()
    for requirement in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra]):
        name = re.findall(r"^[\w.-]+", requirement)[0]
        others = re.findall(r"\[([\w,]+)\]", requirement)
        if name == PROJECT["name"]:
            found |= {one for other in others[0].split(",") for one in declared(other)}
        else:
            found.add(_normal(name))
    return found


def copied(dockerfile: str) -> list[Path]:
    """The folders of ours, and single modules, that an image holds."""
    words = [word for line in re.findall(r"^COPY (?!--)(.*)$", dockerfile, re.MULTILINE) for word in line.split()[:-1]]
    return [path for word in words if (path := REPOSITORY / word).suffix in {"", ".py"} and (path.is_dir() or path.suffix == ".py")]


def modules(paths: list[Path]) -> Iterator[str]:
    for path in paths:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            if not file.is_relative_to(REPOSITORY / "reconciliation/airflow"):
                yield ".".join(file.relative_to(REPOSITORY).with_suffix("").parts)


def file_of(module: str) -> Path | None:
    base = REPOSITORY.joinpath(*module.split("."))
    return next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)


def known_file_of(module: str) -> Path:
    file = file_of(module)
    assert file is not None, module
    return file


@cache
def imports(module: str) -> frozenset[str]:
    """What *module* imports anywhere, but for types alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(known_file_of(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from a import b` may import the module a.b.
            found |= {node.module, *(name for alias in node.names if file_of(name := f"{node.module}.{alias.name}"))}
    return frozenset(found)


def reached(starts: list[str]) -> tuple[set[str], set[str]]:
    """Modules of ours that *starts* import, and top-level names of others."""
    ours, others, open_ = set(starts), set(), list(starts)
    while open_:
        for name in imports(open_.pop()):
            if file_of(name) is None:
                others.add(name.partition(".")[0])
            elif name not in ours:
                ours.add(name)
                open_.append(name)
    return ours, others - set(sys.stdlib_module_names) - {"__future__"}


@pytest.mark.parametrize("extra", IMAGES)
def test_an_image_holds_what_its_programs_import(extra: str) -> None:
    folders = copied(IMAGES[extra])
    programs = [path for path in folders if path.name not in {"service_kit", "schemas"}]
    ours, others = reached([*modules(programs)])
    missing = {module for module in ours if not any(known_file_of(module).is_relative_to(folder) for folder in folders)}
    assert missing == set(), "not copied into the image"
    undeclared = {name for name in others if not {_normal(one) for one in DISTRIBUTIONS.get(name, ())} & declared(extra)}
    assert undeclared == set(), f"not declared for {extra}"


def test_every_image_is_looked_at() -> None:
    assert set(IMAGES) == {"processor", "reports", "bff", "operator"}
