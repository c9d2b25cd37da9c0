"""What a rebuild asks of PostgreSQL and of the log: everything anew, and a fold of what raw has."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import date

import psycopg

from reconciliation.commands import ask_for_tables
from reconciliation.erasures import Erased
from reconciliation.oracle import Oracle
from reconciliation.settings import ReconciliationSettings
from schemas.commands import Command, Recompute
from schemas.mapping import SourceMapping


def rows_to_expect(settings: ReconciliationSettings, mapping: SourceMapping, since: date | None, erased: Sequence[Erased]) -> int:
    """How many valid events PostgreSQL has now, of the UTC days from *since* on, but for those of *erased* times: PostgreSQL keeps them, and no generation takes them in."""
    with psycopg.connect(**settings.telemetry_db.conninfo()) as telemetry:  # type: ignore[arg-type]  # keyword arguments of mixed types
        return sum(events for day, events in Oracle(mapping, erased).event_days(telemetry).items() if since is None or day >= since)


def ask_for_everything(settings: ReconciliationSettings, mapping: SourceMapping) -> None:
    """Make the connectors read all of the CRM, and then all telemetry, beside the changes that they go on to send."""
    crm = mapping.crm
    ask_for_tables(settings.crm_db, [crm.customers.table, crm.prostheses.table, crm.contracts.table])
    ask_for_tables(settings.telemetry_db, [mapping.telemetry.table])


def recomputes(prostheses: Iterable[str], generation: int) -> list[Command]:
    """A recompute of everything of each prosthesis, for the workers of *generation* alone."""
    return [
        Recompute(command_id=f"rebuild-{uuid.uuid4()}", prosthesis_id=prosthesis, generation=generation, reason="bionicpro rebuild")
        for prosthesis in prostheses
    ]
