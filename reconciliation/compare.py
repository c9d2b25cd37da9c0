"""Comparison of two sets of reports, field by field, without tolerance. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from reconciliation.alignment import aligned
from reconciliation.fields import FIELDS, Key, Report, Value, Values


@dataclass(frozen=True)
class Difference:
    """One field of one row: what the oracle computed and what the mart holds."""

    key: Key
    field: str
    expected: Value
    actual: Value


@dataclass(frozen=True)
class Comparison:
    """What a comparison found. *missing*: rows that only the oracle has; *surplus*: rows that only the mart has.

    ``rows`` counts the keys on either side, ``fields`` the pairs of values that were looked at.
    """

    rows: int
    fields: int
    differences: tuple[Difference, ...]
    missing: tuple[Key, ...]
    surplus: tuple[Key, ...]

    @property
    def unequal_keys(self) -> frozenset[Key]:
        """Keys of rows that are not the same on both sides."""
        return frozenset({difference.key for difference in self.differences} | {*self.missing, *self.surplus})

    def by_field(self) -> dict[str, int]:
        """How many rows differ in each field that differs at all, most first."""
        return dict(Counter(difference.field for difference in self.differences).most_common())


def compare(expected: Iterable[Report], actual: Iterable[Report]) -> Comparison:
    """Compare the oracle's rows with the mart's, both in the order of their keys; nothing but what differs is kept of them.

    Values are equal only if Python says so: there is no tolerance. Raises OrderError.
    """
    rows = common = 0
    differences: list[Difference] = []
    missing: list[Key] = []
    surplus: list[Key] = []
    for key, wanted, found in aligned(expected, actual):
        rows += 1
        if found is None:
            missing.append(key)
        elif wanted is None:
            surplus.append(key)
        else:
            common += 1
            if wanted != found:
                differences += _differences(key, wanted, found)
    return Comparison(rows, common * len(FIELDS), tuple(differences), tuple(missing), tuple(surplus))


def only(found: Comparison, keys: Iterable[Key]) -> Comparison:
    """*found*, with those differences alone that are about *keys*; what was counted stays."""
    chosen = frozenset(keys)
    return Comparison(
        rows=found.rows,
        fields=found.fields,
        differences=tuple(difference for difference in found.differences if difference.key in chosen),
        missing=tuple(key for key in found.missing if key in chosen),
        surplus=tuple(key for key in found.surplus if key in chosen),
    )


def _differences(key: Key, expected: Values, actual: Values) -> list[Difference]:
    pairs = zip(FIELDS, expected, actual, strict=True)
    return [Difference(key, field, wanted, found) for field, wanted, found in pairs if wanted != found]
