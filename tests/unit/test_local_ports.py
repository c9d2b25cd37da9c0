"""Ports are held from the moment they are chosen; whose a listener is, the kernel says."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import ports
from local.instance import existing, open_instance, wanted_ports
from service_kit import listeners


def free(_port: int) -> int:
    return os.open(os.devnull, os.O_RDONLY)


def test_a_free_port_is_kept() -> None:
    assert ports.assign({"kafka": [19092]}, free)[0] == {"kafka": 19092}
    assert ports.assign({"kafka": [19092]}, free)[2] == []


def test_a_taken_port_is_named_and_another_one_used() -> None:
    chosen, _, notes = ports.assign({"kafka": [19092], "redis": [16379]}, lambda port: None if port == 19092 else free(port))
    assert chosen["redis"] == 16379
    assert chosen["kafka"] != 19092
    assert notes == [f"port 19092 of kafka is taken; using {chosen['kafka']}"]


def test_a_listener_without_a_wish_gets_any_port_and_no_note() -> None:
    reservation, notes = ports.reserve({"a": [], "b": []})
    assert len(set(reservation.ports.values())) == 2
    assert notes == []


def test_the_usual_port_is_taken_again_once_it_is_free() -> None:
    wanted = wanted_ports({"bff": 23456}, usual=True)
    assert wanted["bff"] == [ports.USUAL["bff"], 23456]
    assert wanted_ports({"bff": 23456}, usual=False)["bff"] == [23456]


def test_a_port_is_held_before_anything_listens_on_it_and_until_it_is_released() -> None:
    first, _ = ports.reserve({"page": []})
    port = first.ports["page"]
    assert ports.is_free(port)
    assert ports.claim(port) is None
    first.release()
    assert ports.reserve({"page": [port]})[0].ports == {"page": port}


def test_two_instances_that_begin_at_once_share_no_port(tmp_path: Path) -> None:
    one, _ = open_instance(tmp_path / "one", usual_ports=True)
    two, _ = open_instance(tmp_path / "two", usual_ports=True)
    assert not set(one.ports.values()) & set(two.ports.values())
    assert existing(tmp_path / "one").ports == one.ports


def test_a_program_that_inherits_a_reservation_holds_it_on() -> None:
    reservation, _ = ports.reserve({"page": []})
    port = reservation.ports["page"]
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=reservation.descriptors) as holder:
        reservation.release()
        assert ports.claim(port) is None
        holder.communicate(b"\n")
    assert ports.reserve({"page": [port]})[0].ports == {"page": port}


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_port_with_a_listener_on_either_loopback_address_is_not_free(address: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as listener:
        listener.bind((address, 0))
        listener.listen()
        assert not ports.is_free(listener.getsockname()[1])


LISTEN = "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"


@pytest.fixture
def child_port() -> Iterator[int]:
    """A port that a child of this process listens on."""
    with subprocess.Popen([sys.executable, "-c", LISTEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        yield int(child.stdout.readline())
        child.communicate("\n")


def test_a_childs_listener_belongs_to_its_parent_and_to_nobody_elses(child_port: int) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        assert listeners.belongs(child_port, os.getpid())
        assert not listeners.belongs(child_port, stranger.pid)
        stranger.communicate(b"\n")


def test_a_port_that_a_stranger_listens_on_too_does_not_belong_to_us(child_port: int) -> None:
    # This process is no child of itself: its listener on the other loopback address is a stranger's.
    with socket.socket(socket.AF_INET6) as beside:
        beside.bind(("::1", child_port))
        beside.listen()
        assert not listeners.belongs(child_port, os.getpid())


def test_nothing_belongs_to_anybody_where_nobody_listens() -> None:
    assert not listeners.belongs(ports.any_free(1)[0], os.getpid())


def test_processes_are_found_through_every_generation() -> None:
    assert listeners.descendants(1, {1: 0, 2: 1, 3: 2, 4: 3, 5: 9}) == {2, 3, 4}


def test_an_address_is_read_in_every_form() -> None:
    forms = ["127.0.0.1:80", "127.0.0.1:80/crm", "http://127.0.0.1:80", "http://[::1]:80/health"]
    assert {listeners.port_of(form) for form in forms} == {80}


def test_a_folder_without_a_running_supervisor_has_none(tmp_path: Path) -> None:
    assert listeners.supervisor_of(tmp_path) is None
    (tmp_path / "supervisord.pid").write_text(str(os.getpid()))  # a number that another program got meanwhile
    assert listeners.supervisor_of(tmp_path) is None


def test_ports_that_are_drawn_are_no_ports_of_outgoing_connections() -> None:
    first, _ = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split())
    drawn = ports.any_free(50)
    assert len(set(drawn)) == 50
    assert all(port < first and port not in ports.USUAL.values() for port in drawn)
