"""What ``plan`` found and ``apply`` will do: one shape for topics and connectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Step:
    """One thing to change. *action* ``refuse`` is a contradiction that the tool will not resolve; *details* says what differs."""

    action: Literal["create", "alter", "restart", "refuse"]
    subject: str
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n    ".join((f"{self.action} {self.subject}", *self.details))


def differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> tuple[str, ...]:
    """A line for each setting of *wanted* that *found* has otherwise or lacks."""
    return tuple(f"{name}: {found.get(name, '(unset)')} → {value}" for name, value in sorted(wanted.items()) if found.get(name) != value)
