"""Keycloak on its file database, started from a distribution that was built once and lies in the cache.

An instance has a home of its own (configuration, realm to import, database) whose libraries are links to the built one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from local import commands, fetch, paths
from local.instance import Instance, write_private
from local.launch import answers
from local.servers.program import Program, java, launched

REALM = paths.REPOSITORY / "deploy" / "keycloak" / "bionicpro-realm.json"
THEMES = paths.REPOSITORY / "deploy" / "keycloak" / "themes"
BUILD_OPTIONS = ("--db=dev-file", "--health-enabled=true", "--features-disabled=admin")
JVM = (
    "-Xms64m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Dfile.encoding=UTF-8",
    "-Duser.language=en",
    "-Duser.country=US",
    "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
    "-Djava.util.concurrent.ForkJoinPool.common.threadFactory=io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--add-opens=java.base/java.security=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
)


def built(report: Callable[[str], None] = lambda _line: None) -> Path:
    """The distribution with its build step done for our options, made once and kept in the cache beside the fetched one. Idempotent."""
    fetched = next(fetch.located()["keycloak"].glob("keycloak-*"))
    digest = hashlib.sha256("\n".join((fetched.parent.name, *BUILD_OPTIONS)).encode()).hexdigest()[:12]
    home = paths.cache() / f"keycloak-built-{digest}"
    if not home.exists():
        partial = home.with_name(f"{home.name}.{os.getpid()}.part")
        shutil.rmtree(partial, ignore_errors=True)
        report("building Keycloak for our options")
        shutil.copytree(fetched, partial)
        _build(partial)
        partial.rename(home)
        report("Keycloak is built")
    return home


def prepare(instance: Instance) -> None:
    """Lay out the instance's home and the realm to import. Idempotent; a realm that the database has already is left as it is."""
    home = instance.data("keycloak")
    for part in ("conf", "data/import", "providers"):
        (home / part).mkdir(parents=True, exist_ok=True)
    write_private(home / "conf" / "cache-ispn.xml", (built() / "conf" / "cache-ispn.xml").read_text(encoding="utf-8"))
    library = home / "lib"
    library.unlink(missing_ok=True)
    library.symlink_to(built() / "lib")
    _lay_out_themes(home / "themes")
    if REALM.exists():
        write_private(home / "data" / "import" / REALM.name, REALM.read_text(encoding="utf-8"))


def _lay_out_themes(folder: Path) -> None:
    """Make *folder* hold the repository's themes, and nothing of former ones."""
    shutil.rmtree(folder, ignore_errors=True)
    for file in (file for file in sorted(THEMES.rglob("*")) if file.is_file()):
        target = folder / file.relative_to(THEMES)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_private(target, file.read_text(encoding="utf-8"))


def program(instance: Instance) -> Program:
    home = instance.data("keycloak")
    runner = ("-cp", str(built() / "lib" / "quarkus-run.jar"), "io.quarkus.bootstrap.runner.QuarkusEntryPoint")
    settings = (f"-Dkc.home.dir={home}", f"-Djboss.server.config.dir={home / 'conf'}")
    return Program(
        name="keycloak",
        command=launched((*java(instance), *JVM, *settings, *runner, *_arguments(instance)), env_file=instance.env_file("keycloak")),
        directory=home,
        stop_wait_s=30,
        priority=30,
    )


def ready(instance: Instance) -> bool:
    return answers(f"http://127.0.0.1:{instance.ports['keycloak_management']}/health/ready")


def _arguments(instance: Instance) -> tuple[str, ...]:
    return (
        "start",
        "--optimized",
        "--import-realm",
        "--http-enabled=true",
        "--http-host=127.0.0.1",
        f"--http-port={instance.ports['keycloak']}",
        "--http-management-host=127.0.0.1",
        f"--http-management-port={instance.ports['keycloak_management']}",
        f"--hostname={instance.keycloak_url}",
        "--cache=local",
        # H2 gives up a lock after a second or two; a busy machine needs longer. Unless told not to, it also listens for other processes, on every address.
        "--db-url-properties=;LOCK_TIMEOUT=30000;AUTO_SERVER=FALSE",
        "--log-level=warn",
    )


def _build(home: Path) -> None:
    command = [str(home / "bin" / "kc.sh"), "build", *BUILD_OPTIONS]
    finished = commands.run(command, environment=os.environ | paths.LOCALE)
    if finished.returncode != 0:
        raise RuntimeError(f"Keycloak's build ended with {finished.returncode}: {(finished.stdout + finished.stderr).strip()[-600:]}")
