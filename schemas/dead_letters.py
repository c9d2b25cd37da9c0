"""Reasons of dead letters that others than their writer have to know."""

from __future__ import annotations

ABSENT_COLUMN = "absent-column"
"""A row lacks a column of the mapping altogether, which is not null: the column was renamed or dropped, or is not published."""

WITHOUT_IDENTITY = "without-identity"
"""A delete or an update does not tell the row as it was: the table has not REPLICA IDENTITY FULL."""

INCOMPLETE = (ABSENT_COLUMN, WITHOUT_IDENTITY)
"""After these reports may lack a change, until a repair."""
