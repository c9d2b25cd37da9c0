"""The oracle shares names, types, ranges and the shapes of messages with the processor, and no formula: what it may import is listed here, everything else is refused.

Whoever adds an entry says why it computes nothing of a report.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import reconciliation

OURS = {
    "bff",
    "cli",
    "clickhouse",
    "connectors",
    "eraser",
    "local",
    "reports_api",
    "schemas",
    "service_kit",
    "simulator",
    "stream_processor",
}
ALLOWED = {
    "schemas.commands": "the commands that a repair sends",
    "schemas.generations": "names of databases and groups",
    "schemas.erasure_rules": "which time is erased",
    "schemas.keys": "topics and keys",
    "schemas.mapping": "where a source has what",
    "schemas.mart": "names and types of a report's columns",
    "schemas.ownership": "the shape of the document, as it stands in the store",
    "schemas.ranges": "what an event, a contract and an id may be",
    "schemas.raw_telemetry": "names and types of raw columns",
    "schemas.retention": "how long telemetry is kept",
    "schemas.zones": "which time-zone database is in force",
    "service_kit.clickhouse": "a connection",
    "service_kit.clickhouse_errors": "which errors are an outage",
    "service_kit.error_text": "one line of an error",
    "service_kit.generations": "which tables readers see",
    "service_kit.outages": "which errors are an outage",
    "service_kit.partition_progress": "how far the tables are",
    "service_kit.retries": "how a call is tried again",
    "service_kit.settings": "addresses and accounts",
}
# The Dag's file puts parts together, as cli/main.py does: the check of states, which is the processor's, beside the oracle.
COMPOSES = Path("airflow/bionicpro_reconciliation.py")


def imported(folder: Path) -> Iterator[str]:
    """The project's modules that the code in *folder* imports, its own aside."""
    for path in set(folder.rglob("*.py")) - {folder / COMPOSES}:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names if alias.name.split(".")[0] in OURS)
            elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS:
                module = node.module or ""
                yield from (f"{module}.{alias.name}" for alias in node.names) if "." not in module else (module,)


def test_the_oracle_imports_nothing_but_what_is_listed() -> None:
    assert set(imported(Path(reconciliation.__file__).parent)) - ALLOWED.keys() == set()


def test_names_and_types_are_all_that_the_catalogues_have() -> None:
    """A function of a catalogue that took numbers of events would be a shared formula: there are only those that write SQL, and the arrays' own."""
    functions = {}
    for name in ("mart", "raw_telemetry"):
        tree = ast.parse((Path(reconciliation.__file__).parents[1] / "schemas" / f"{name}.py").read_text("utf-8"))
        functions[name] = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert functions == {"mart": {"exact", "definitions", "additions"}, "raw_telemetry": {"whole"}}
