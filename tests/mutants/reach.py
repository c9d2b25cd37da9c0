"""Which places that mutations change the simulation comes to at all: where it does not come it can kill nothing.

In a copy of the tree each place notes that it was reached, and schedules run there. A place outside of any function is reached by the import.
"""

from __future__ import annotations

import ast
import builtins
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tests.simulation.schedule import MIXES

if TYPE_CHECKING:
    from tests.mutants.__main__ import Mutation

NOTED = "REACHED_PLACES"
SAID = "reached: "


def reached(mutations: Iterable[Mutation], copy: Path, schedules: int) -> set[str]:
    """The names of those that so many schedules of each mix come to. *copy* is as before afterwards."""
    places: dict[Path, dict[str, int]] = defaultdict(dict)
    for mutation in mutations:
        file = copy / mutation.file
        source = file.read_text(encoding="utf-8")
        begins = source.index(mutation.old) + len(mutation.old) - len(mutation.old.lstrip())
        places[file][mutation.name] = source.count("\n", 0, begins) + 1
    originals = {file: file.read_text(encoding="utf-8") for file in places}
    try:
        for file, lines in places.items():
            file.write_text(noting(originals[file], lines), encoding="utf-8")
        return set().union(*(_reached(copy, mix, schedules) for mix in MIXES))
    finally:
        for file, original in originals.items():
            file.write_text(original, encoding="utf-8")


def _reached(copy: Path, mix: str, schedules: int) -> set[str]:
    arguments = ["--seed", "0", "--schedules", str(schedules), "--whole", "--mix", mix]
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.mutants.reach", *arguments],
        cwd=copy, env=os.environ | {"PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    said = next(line for line in finished.stdout.splitlines() if line.startswith(SAID))
    return set(said.removeprefix(SAID).split())


def noting(source: str, lines: Mapping[str, int]) -> str:
    """*source* in which each of *lines*, by name, notes that it was reached. Pure."""
    tree = ast.parse(source)
    for name, line in lines.items():
        body, index = _place(tree, line)
        body.insert(index, ast.parse(f"__import__('builtins').{NOTED}.add({name!r})").body[0])
    return ast.unparse(ast.fix_missing_locations(tree))


def _place(tree: ast.Module, line: int) -> tuple[list[ast.stmt], int]:
    """The statements among which the innermost one at *line* stands, and where; of a function's head its own first."""
    body, index = tree.body, 0
    while True:
        found = next((at for at, one in enumerate(body) if _begin(one) <= line <= (one.end_lineno or 0) and hasattr(one, "lineno")), None)
        if found is None:
            return body, index
        inner = [part for part in _bodies(body[found]) if part and _begin(part[0]) <= line <= (part[-1].end_lineno or 0)]
        if not inner:
            if isinstance(body[found], ast.FunctionDef | ast.AsyncFunctionDef):
                return body[found].body, 1 if ast.get_docstring(body[found]) else 0  # type: ignore[attr-defined, arg-type]
            return body, found
        body, index = inner[0], 0


def _begin(statement: ast.stmt) -> int:
    decorators = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])


def _bodies(statement: ast.stmt) -> list[list[ast.stmt]]:
    """The blocks within *statement*."""
    blocks = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
    parts = [*getattr(statement, "handlers", []), *getattr(statement, "cases", [])]
    return [*blocks, *(part.body for part in parts)]


if __name__ == "__main__":
    setattr(builtins, NOTED, set())
    from tests.simulation.__main__ import main

    try:
        main(sys.argv[1:])
    finally:
        print(SAID + " ".join(sorted(getattr(builtins, NOTED))))
