"""Network addresses of clients. A trusted proxy may say what the client's address is; a limit counts an IPv6 address by its network."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
IPV6_SUBSCRIBER_BITS = 64
"""One subscriber has at least this network of IPv6 (RFC 6177): its addresses are theirs to choose."""
UNKNOWN = "unknown"


def parsed(text: str) -> Address | None:
    """The address that *text* is; None if it is none. An IPv4 address in IPv6 form (``::ffff:192.0.2.1``) is the IPv4 address."""
    try:
        address = ipaddress.ip_address(text.strip(" \t"))
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """The networks, or single addresses, that *texts* name. Raises ValueError."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def is_in(address: Address | None, among: Sequence[Network]) -> bool:
    return address is not None and any(address in network for network in among)


def client_address(peer: str | None, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """The client's address: *peer*, or where that is a *trusted* proxy the right-most address of ``X-Forwarded-For`` that is not one too.

    *forwarded_for*: the field's lines in the order in which they came; they are one list (RFC 9110 5.3). What stands left of the client's address is the
    client's own word. An entry that is no address ends the search: nothing left of it can be believed.
    """
    client = peer or UNKNOWN
    if not is_in(parsed(client), trusted):
        return client
    for entry in reversed(",".join(forwarded_for).split(",")):
        address = parsed(entry)
        if address is None:
            return client
        client = str(address)
        if not is_in(address, trusted):
            return client
    return client


def limited_as(address: str) -> str:
    """The name under which a limit counts *address*: the /64 network of an IPv6 address, any other address itself."""
    known = parsed(address)
    if isinstance(known, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((known, IPV6_SUBSCRIBER_BITS), strict=False))
    return str(known) if known is not None else address
