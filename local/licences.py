"""Which licences parts may have that our images and our page are made of: what ``licences.toml`` allows, and nothing else."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

POLICY = Path(__file__).with_name("licences.toml")
EXPRESSION = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR) [A-Za-z0-9.+-]+)*")
OPERATORS = {"AND", "OR"}


@dataclass(frozen=True)
class Policy:
    """``spelled``: identifiers of what packages write instead; ``packages``: licences that were looked up by hand."""

    allowed: frozenset[str]
    spelled: Mapping[str, str]
    packages: Mapping[str, str]

    def identified(self, words: str) -> str | None:
        """The SPDX expression that *words* are or stand for; None for any that names a licence which is not allowed, or none at all."""
        expression = self.spelled.get(words, words)
        return expression if EXPRESSION.fullmatch(expression) and set(expression.split()) - OPERATORS <= self.allowed else None

    def allows(self, expression: str | None) -> bool:
        """Whether one of the alternatives of *expression* is allowed in all of its parts; nested ones are not understood, and not allowed."""
        if expression is None:
            return False
        return any(all(part in self.allowed for part in each.split(" AND ")) for each in expression.strip("()").split(" OR "))


def policy(file: Path = POLICY) -> Policy:
    found = tomllib.loads(file.read_text(encoding="utf-8"))
    return Policy(frozenset(found["allowed"]), found["spelled"], found["packages"])
