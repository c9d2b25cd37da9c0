"""The operator's command in this process, with an instance's variables and nothing else of ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner, Result

from cli.main import app


@dataclass(frozen=True)
class Operator:
    """*variables* of the environment; a call returns the result, ``json`` what ``--json`` printed."""

    variables: Mapping[str, str]

    def __call__(self, *arguments: str, answer: str | None = None) -> Result:
        """Run it; *answer* is typed where it asks."""
        result = CliRunner().invoke(app, list(arguments), input=answer, env=dict(self.variables))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def json(self, *arguments: str, code: int = 0) -> Any:
        """The document that the command printed; it must have ended with *code*."""
        result = self(*arguments, "--json")
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    def with_variables(self, **more: str) -> Operator:
        return Operator({**self.variables, **more})
