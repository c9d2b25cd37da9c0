"""Whose word about a client's address is believed, and as whom a limit counts it."""

from __future__ import annotations

import pytest

from service_kit.addresses import client_address, limited_as, networks

TRUSTED = networks(("10.0.0.0/8", "127.0.0.1", "2001:db8:ffff::/48"))


@pytest.mark.parametrize(
    ("peer", "lines", "client"),
    [
        ("192.0.2.9", ["198.51.100.1"], "192.0.2.9"),  # no proxy of ours: its word is nothing
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["192.0.2.1"], "192.0.2.1"),
        ("127.0.0.1", ["198.51.100.1", "192.0.2.1"], "192.0.2.1"),  # several lines are one list
        ("127.0.0.1", ["192.0.2.1", "10.0.0.1"], "192.0.2.1"),
        ("127.0.0.1", ["198.51.100.1, 192.0.2.1,10.0.0.1 , 10.0.0.2"], "192.0.2.1"),
        ("127.0.0.1", ["10.0.0.1, 10.0.0.2"], "10.0.0.1"),
        ("127.0.0.1", ["192.0.2.1, nonsense"], "127.0.0.1"),
        ("127.0.0.1", ["192.0.2.1, nonsense, 10.0.0.2"], "10.0.0.2"),
        ("127.0.0.1", ["192.0.2.1\xa0"], "127.0.0.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("::ffff:127.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("2001:db8:ffff::5", ["2001:DB8::0:1"], "2001:db8::1"),
        (None, ["192.0.2.1"], "unknown"),
    ],
)
def test_the_right_most_address_that_no_trusted_proxy_has_is_the_clients(peer: str | None, lines: list[str], client: str) -> None:
    assert client_address(peer, lines, TRUSTED) == client


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_a_limit_counts_a_subscriber_of_ipv6_as_one(address: str, counted: str) -> None:
    assert limited_as(address) == counted
