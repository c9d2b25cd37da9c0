"""Ownership documents made from the directory's table: contracts joined with their customers and their prosthesis."""

from __future__ import annotations

from schemas.ownership import Ownership, OwnershipDocument
from schemas.zones import in_force
from stream_processor.domain.contracts import Bounds, named_bounds, rank
from stream_processor.domain.crm import CrmContract, Customer, Prosthesis
from stream_processor.domain.directory_table import DirectoryTable
from stream_processor.domain.ownership import Contract, effective_intervals, in_one_zone


def document(table: DirectoryTable, prosthesis_id: str, offset: int) -> OwnershipDocument:
    """The whole ownership of one prosthesis, as the table has it now. Raises UnreadableBounds, naming the contract."""
    prosthesis = table.prosthesis(prosthesis_id) or Prosthesis(prosthesis_id, "", "")
    contracts = (joined(table, contract) for contract in table.contracts_of_prosthesis(prosthesis_id))
    intervals = in_one_zone(effective_intervals(contract for contract in contracts if contract is not None))
    return OwnershipDocument(prosthesis_id, offset, prosthesis.model, prosthesis.serial_number, intervals)


def joined(table: DirectoryTable, contract: CrmContract) -> Contract | None:
    """A contract joined with its customer; None where it owns nothing: no such customer, no user, no beginning. Raises UnreadableBounds."""
    customer = table.customer(contract.customer_id)
    if customer is None or customer.user_id is None:
        return None
    bounds = named_bounds(contract, table.reader.contracts)
    if bounds is None:
        return None
    return Contract(rank(bounds.begins_us, contract.id), _interval(contract, customer, customer.user_id, bounds))


def _interval(contract: CrmContract, customer: Customer, user_id: str, bounds: Bounds) -> Ownership:
    return Ownership(
        starts_us=bounds.starts_us,
        ends_us=bounds.ends_us,
        user_id=user_id,
        customer_id=customer.id,
        customer_name=customer.name,
        timezone=in_force(customer.timezone),
        contract_id=contract.id,
        contract_number=contract.number,
    )
