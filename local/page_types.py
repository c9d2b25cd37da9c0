"""The page's types of the API, ``frontend/src/api/openapi.ts``: generated from the document that the services describe themselves with.

``python -m local.page_types`` writes the file anew; ``--check`` says whether it is what it would write, as ``make lint`` does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from fastapi import FastAPI

import bff.logout
import bff.session_api
import bff.support
import reports_api.app
from local import frontend

FILE = frontend.FOLDER / "src" / "api" / "openapi.ts"
WEARER = "/reports/{user_id}"
COMMAND_LIMIT_S = 120
DRIFTED = f"{FILE.name} is not what the services describe: run `make types` and look at what changed"


def document() -> dict[str, Any]:
    """What the page may ask of the BFF: its own session, the wearer's reports, whose ``user_id`` the BFF adds, and support's search and visits.

    Support reads the same answers below ``/users/{user_id}/reports``.
    """
    service = reports_api.app.routed().openapi()
    reports = {
        path.replace(WEARER, "/reports"): {"get": _without_user(operations["get"])}
        for path, operations in service["paths"].items()
        if path.startswith(WEARER)
    }
    own = FastAPI(title="BionicPRO, as the page sees it", version=service["info"]["version"])
    own.include_router(bff.session_api.router)
    own.include_router(bff.logout.router)
    own.include_router(bff.support.router)
    made = own.openapi()
    sessions = {path: operations for path, operations in made["paths"].items() if path != "/auth/backchannel-logout"}
    schemas = made["components"]["schemas"] | service["components"]["schemas"]
    return made | {"paths": sessions | reports, "components": {"schemas": schemas}}


def _without_user(operation: dict[str, Any]) -> dict[str, Any]:
    parameters = [parameter for parameter in operation["parameters"] if parameter["name"] != "user_id"]
    return {name: part for name, part in operation.items() if name != "security"} | {"parameters": parameters}


def generated() -> str:
    """The file's content. Raises RuntimeError with the generator's last words."""
    frontend.install()
    command, folder = frontend.npm_command()
    environment = os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch) / "openapi.json", Path(scratch) / "openapi.ts"
        source.write_text(json.dumps(document(), ensure_ascii=False), encoding="utf-8")
        arguments = ["exec", "--offline", "--", "openapi-typescript", str(source), "--immutable", "--output", str(target)]
        finished = subprocess.run(
            [*command, *arguments],
            cwd=frontend.FOLDER,
            env=environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT_S,
            check=False,
        )
        if finished.returncode != 0:
            raise RuntimeError(
                f"openapi-typescript ended with {finished.returncode}: {(finished.stderr + finished.stdout).strip()[-1200:]}"
            )
        return target.read_text(encoding="utf-8")


def is_current() -> bool:
    """Whether the file is what the services describe today."""
    return FILE.exists() and FILE.read_text(encoding="utf-8") == generated()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the file has drifted")
    if parser.parse_args().check:
        if is_current():
            return 0
        print(DRIFTED, file=sys.stderr)
        return 1
    FILE.write_text(generated(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
