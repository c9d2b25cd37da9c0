"""The operator's command in this process, with an instance's variables and nothing else of ours."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner, Result

from cli.main import app
from tests.support.system import System
from tests.support.waiting import PATIENCE_S

# What the pipe has not, and what other tests leave behind.
WITHOUT = tuple(argument for part in ("reports-api", "bff", "keycloak", "dead-letters", "sources") for argument in ("--without", part))


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
        # The last line: what a service of the test's own logs in this process stands before it.
        return json.loads(result.stdout.splitlines()[-1])

    def without(self, variable: str) -> Operator:
        return Operator({name: value for name, value in self.variables.items() if name != variable})

    def with_variables(self, **more: str) -> Operator:
        return Operator({**self.variables, **more})


def problem_lines(told: str) -> list[str]:
    """What `status` says is wrong, one line each."""
    return [line for line in told.splitlines() if " → " in line]


def commands_in(line: str) -> tuple[str, ...]:
    """The commands that a line of `status` says to run, in its order, without the name of the program."""
    return tuple(re.findall(r"`bionicpro ([^`]+)`", line))


def with_processor(pipe: System) -> Operator:
    """The operator of *pipe* once a processor runs there and has come up to date; AssertionError with what is wrong at the limit."""
    pipe.start_services("processor")
    listener = {name: value for name, value in pipe.variables("processor").items() if name.endswith(("PROCESSOR__HOST", "PROCESSOR__PORT"))}
    operator = Operator(pipe.variables("operator") | listener)
    until = time.monotonic() + PATIENCE_S
    while (result := operator("status", *WITHOUT)).exit_code != 0:
        assert time.monotonic() < until, result.output
        time.sleep(0.5)
    return operator
