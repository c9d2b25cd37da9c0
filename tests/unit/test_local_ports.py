import socket
from pathlib import Path

from local import ports


def test_a_free_port_is_kept() -> None:
    assigned, notes = ports.assign({"kafka": 19092}, free=lambda _port: True)
    assert assigned == {"kafka": 19092}
    assert notes == []


def test_a_taken_port_is_named_and_another_one_used() -> None:
    assigned, notes = ports.assign({"kafka": 19092, "redis": 16379}, free=lambda port: port != 19092)
    assert assigned["redis"] == 16379
    assert assigned["kafka"] not in {0, 19092}
    assert notes == [f"port 19092 of kafka is taken; using {assigned['kafka']}"]


def test_port_zero_means_any_and_needs_no_note() -> None:
    assigned, notes = ports.assign({"a": 0, "b": 0}, free=lambda _port: True)
    assert len({*assigned.values()} - {0}) == 2
    assert notes == []


def test_a_port_with_a_listener_is_not_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert not ports.is_free(listener.getsockname()[1])


def test_ports_that_are_drawn_are_no_ports_of_outgoing_connections() -> None:
    first, _ = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split())
    drawn = ports.any_free(50)
    assert len(set(drawn)) == 50
    assert all(port < first and port not in ports.USUAL.values() for port in drawn)
