"""The oracle is worth something only as long as it shares no code with what it checks."""

from __future__ import annotations

import ast
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "reconciliation"
ALLOWED = {"reconciliation", "schemas", "service_kit"}
OURS = {"bff", "cli", "connectors", "local", "reports_api", "simulator", "stream_processor", "tests"}


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def test_no_module_of_the_oracle_imports_the_processor_or_another_service() -> None:
    modules = list(FOLDER.rglob("*.py"))
    assert len(modules) > 10
    assert {path.name: imported(path) & OURS for path in modules if imported(path) & OURS} == {}


def test_the_dag_is_python_that_calls_the_commands_functions() -> None:
    tree = ast.parse((FOLDER / "airflow" / "bionicpro_reconciliation.py").read_text("utf-8"))
    tasks = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and _is_task(node)}
    assert tasks == {"verify_reports", "repair_reports"}
    assert {"verify", "plan", "carry_out"} <= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def _is_task(function: ast.FunctionDef) -> bool:
    names = [decorator.func if isinstance(decorator, ast.Call) else decorator for decorator in function.decorator_list]
    return any(
        (isinstance(name, ast.Attribute) and name.attr.startswith("task")) or (isinstance(name, ast.Name) and name.id == "task")
        for name in names
    )
