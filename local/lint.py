"""``make lint``: every check, all of them run, the failed ones named at the end."""

from __future__ import annotations

import subprocess
import sys

from local import frontend, page_types, paths

CHECKS: tuple[tuple[str, ...], ...] = (
    ("ruff", "format", "--check", "."),
    ("ruff", "check", "."),
    ("mypy",),
    ("lint-imports",),
    # What is imported is declared, and what is declared is imported.
    ("deptry", "--no-ansi", "."),
)
FRONTEND_CHECKS = ("lint", "typecheck", "test")


def main() -> int:
    failed = [" ".join(check) for check in CHECKS if not _passes(check)]
    if frontend.FOLDER.is_dir():
        frontend.install()
        command, _ = frontend.npm_command()
        failed += [] if _types_are_current() else ["python -m local.page_types --check"]
        failed += [f"npm run {name}" for name in FRONTEND_CHECKS if not _npm(command, name)]
    failed += [] if _module("local.vulnerabilities") else ["known vulnerabilities"]
    failed += [] if _module("local.sbom", "--check") else ["licences"]
    for name in failed:
        print(f"failed: {name}", file=sys.stderr)
    return 1 if failed else 0


def _passes(check: tuple[str, ...]) -> bool:
    print(f"— {' '.join(check)}", flush=True)
    program, *arguments = check
    return subprocess.run([paths.VENV / "bin" / program, *arguments], cwd=paths.REPOSITORY, check=False, timeout=600).returncode == 0


def _types_are_current() -> bool:
    print("— the page's types are those of the API's description", flush=True)
    current = page_types.is_current()
    if not current:
        print(page_types.DRIFTED, file=sys.stderr)
    return current


def _module(*command: str) -> bool:
    print(f"— python -m {' '.join(command)}", flush=True)
    return subprocess.run([sys.executable, "-m", *command], cwd=paths.REPOSITORY, check=False, timeout=600).returncode == 0


def _npm(command: list[str], name: str) -> bool:
    print(f"— npm run {name}", flush=True)
    return subprocess.run([*command, "run", "--silent", name], cwd=frontend.FOLDER, check=False, timeout=600).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
