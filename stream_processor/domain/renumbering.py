"""A customer whose number changes in the CRM: a delete and a create to Debezium, and one person to an erasure."""

from __future__ import annotations

import msgspec

from stream_processor.domain.crm import CrmEnvelope, CrmTable, Customer, SourceRow
from stream_processor.domain.directory_facts import RENUMBERED, FormerUser, HeldProsthesis, Renumbered, fact_key
from stream_processor.domain.directory_table import DirectoryTable


def renumber(table: DirectoryTable, customer: Customer, gone: CrmEnvelope, now: SourceRow) -> None:
    """What is remembered of *customer* is of the row *now* from now on, and so is the user whom he is. Idempotent; to be done before his row goes.

    *gone*: the delete that begins it. The row is known from here on, as far as it was before: the record that tells it may be lost with the topic, and a rebuild asks the CRM for whom the directory knows.
    """
    number = str(now[table.reader.customers.id])
    if customer.user_id is not None:
        present = FormerUser(number, customer.user_id)
        table.remember(fact_key(present), present)
        if table.row(CrmTable.CUSTOMERS, number) is None:
            table.record(CrmTable.CUSTOMERS, number, msgspec.structs.replace(gone, op="r", before=None, after=now))
    for key, fact in list(table.remembered(customer.id)):
        moved = msgspec.structs.replace(fact, customer_id=number)
        table.remember(fact_key(moved) if isinstance(moved, HeldProsthesis | FormerUser) else key, moved)
    table.remember(f"{RENUMBERED}{customer.id}", Renumbered(number))
    table.forget_what_was(customer.id)
