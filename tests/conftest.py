"""Markers by folder, the servers, and the rule that nothing is skipped where CI is set."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import settings as hypothesis_settings

from local import steps
from service_kit.loopback import without_proxy
from tests.support.endpoints import (
    ClickHouseEndpoint,
    ConnectEndpoint,
    KafkaEndpoint,
    KeycloakEndpoint,
    PostgresEndpoint,
    RedisEndpoint,
)
from tests.support.kept_logs import RUN
from tests.support.system import BACKENDS, RunningBackend, System, usual_backend

# Also the order in which they run: what fails fast goes first.
KINDS = ("unit", "property", "simulation", "contract", "integration", "security", "e2e", "chaos")
# Of these kinds are tests that start servers of their own.
WITH_SERVERS = ("integration", "security", "chaos")
# What local/ starts and guards is processes, whatever starts the servers of other tests: with another backend none of this is collected, and the run's
# first lines say so. Airflow is one of them, and the benchmarks start servers of their own.
OF_PROCESSES = (
    "integration/test_local_*.py",
    "integration/test_airflow.py",
    "integration/test_benchmarks.py",
    "security/test_local_doors.py",
)
HERE = Path(__file__).parent
SYSTEM = pytest.StashKey[System]()
# Servers begin to start when the tests are known, so that they are ready when the first one asks.
SERVERS_OF = {
    "postgres": ("postgres",),
    "kafka": ("kafka",),
    "connect": ("connect",),
    "clickhouse": ("clickhouse",),
    "keycloak": ("keycloak",),
    "redis": ("redis",),
    "pipe": ("postgres", "kafka", "connect", "clickhouse"),
    "demo": ("postgres", "kafka", "connect", "clickhouse", "keycloak", "redis"),
}

# Generated cases are the same at every run of CI, and new ones at every run of a developer. No deadlines: a test says nothing about speed.
hypothesis_settings.register_profile("developer", deadline=None)
hypothesis_settings.register_profile("ci", derandomize=True, database=None, deadline=None)
hypothesis_settings.load_profile("ci" if os.environ.get("CI", "").lower() in {"1", "true"} else "developer")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bionicpro")
    group.addoption("--backend", choices=sorted(BACKENDS), default=usual_backend(), help="what starts the servers (default: %(default)s)")
    group.addoption(
        "--servers",
        choices=("shared", "own"),
        help="only tests that use this run's servers or none, or only the others, most of which start servers of their own",
    )
    group.addoption("--instance", type=Path, help="use the running instance in this folder; it is left running")


def pytest_configure(config: pytest.Config) -> None:
    os.environ.update(without_proxy(os.environ))
    os.environ.setdefault("BIONICPRO_PROCESSOR__SESSION_TIMEOUT_S", "10")  # tests wait until the place of a stopped worker is free
    # Two idle connectors that look for changes every 10 ms cost a third of a core, and a test run has two or three pairs of them.
    os.environ.setdefault("BIONICPRO_CAPTURE__POLL_INTERVAL_MS", "50")
    # A server of a test lives for minutes: Java's second compiler would cost it more than it gives.
    os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")
    folder: Path | None = config.getoption("--instance")
    config.stash[SYSTEM] = System(RunningBackend(folder.resolve()) if folder else BACKENDS[config.getoption("--backend")]())


def pytest_report_header(config: pytest.Config) -> list[str]:
    return (
        []
        if _of_processes(config)
        else [f"backend: {config.getoption('--backend')}; not collected, for they are about processes: {', '.join(OF_PROCESSES)}"]
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    away = not _of_processes(config) and any(collection_path.match(pattern) for pattern in OF_PROCESSES)
    return True if away else None


def _of_processes(config: pytest.Config) -> bool:
    return bool(config.getoption("--instance")) or config.getoption("--backend") == "local"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(kind_of(item.path))
    items.sort(key=lambda item: KINDS.index(kind_of(item.path)))
    if share := config.getoption("--servers"):
        others = [item for item in items if share_of(item) != share]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]


def share_of(item: pytest.Item) -> str:
    """Which run of ``python -m tests`` has it. What needs no server goes where there is less to do, by the times of a whole run."""
    if "system" in getattr(item, "fixturenames", ()) or kind_of(item.path) not in WITH_SERVERS:
        return "shared"
    return "own"


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.option.collectonly:
        return
    asked = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    wanted = sorted({server for name in asked for server in SERVERS_OF.get(name, ())})
    if wanted:
        session.config.stash[SYSTEM].backend.begin(wanted)


def pytest_unconfigure(config: pytest.Config) -> None:
    if SYSTEM in config.stash:
        config.stash[SYSTEM].backend.end()
    if told := RUN.told():
        config.get_terminal_writer().line(f"\n{told}")


def kind_of(path: Path) -> str:
    """The folder below tests/ that *path* stands in. Raises a usage error for a test outside the known ones."""
    kind = path.relative_to(HERE).parts[0]
    if kind not in KINDS:
        raise pytest.UsageError(f"{path}: tests stand in tests/{{{','.join(KINDS)}}}/")
    return kind


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and _nothing_may_be_skipped():
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and CI is set: make it run or delete it. ({report.longrepr})"
    RUN.failed |= report.failed
    return report


def pytest_internalerror() -> None:
    RUN.failed = True


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.outcome == "skipped" and _nothing_may_be_skipped():
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} was skipped as a whole, and CI is set: make it run or delete it. ({report.longrepr})"
    return report


def _nothing_may_be_skipped() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true"}


@pytest.fixture(scope="session", autouse=True)
def small_pieces() -> Iterator[None]:
    """What the engine cuts into pieces for speed or memory is cut within the few records of a test too."""
    names = {
        "stream_processor.domain.decode.SLICE": 3,
        "stream_processor.reports.REPORTS_AT_ONCE": 2,
        "stream_processor.ports.TELEMETRY_AT_ONCE": 3,
    }
    with ExitStack() as patched:
        for name, size in names.items():
            patched.enter_context(patch(name, size))
        yield


@pytest.fixture(scope="session")
def system(pytestconfig: pytest.Config) -> System:
    """The one system of this run: ``system.kafka`` and so on start what is asked for."""
    return pytestconfig.stash[SYSTEM]


@pytest.fixture(scope="session")
def postgres(system: System) -> PostgresEndpoint:
    """PostgreSQL, empty unless ``sources`` or ``pipe`` is asked for too."""
    return system.postgres


@pytest.fixture(scope="session")
def kafka(system: System) -> KafkaEndpoint:
    return system.kafka


@pytest.fixture(scope="session")
def connect(system: System) -> ConnectEndpoint:
    return system.connect


@pytest.fixture(scope="session")
def clickhouse(system: System) -> ClickHouseEndpoint:
    return system.clickhouse


@pytest.fixture(scope="session")
def keycloak(system: System) -> KeycloakEndpoint:
    """Keycloak with the realm of deploy/keycloak, without users."""
    return system.keycloak


@pytest.fixture(scope="session")
def redis(system: System) -> RedisEndpoint:
    return system.redis


@pytest.fixture(scope="session")
def expendable(pytestconfig: pytest.Config) -> Iterator[System]:
    """A pipe of its own, with a processor, for tests after which nothing is as others expect it: topics made anew, other generations, lost slots."""
    folder: Path | None = pytestconfig.getoption("--instance")
    system = System(RunningBackend(folder.resolve()) if folder else BACKENDS[pytestconfig.getoption("--backend")]())
    try:
        system.backend.begin(SERVERS_OF["pipe"])
        system.carry_out(steps.PIPE)
        yield system
    finally:
        system.backend.end()


@pytest.fixture(scope="session")
def sources(system: System) -> PostgresEndpoint:
    """PostgreSQL with both source databases, their roles and publications."""
    system.carry_out(steps.PIPE[:1])
    return system.postgres


@pytest.fixture(scope="session")
def pipe(system: System) -> System:
    """Source databases, ClickHouse schema, topics and running connectors; no seed, no processor."""
    system.carry_out(steps.PIPE)
    return system


@pytest.fixture(scope="session")
def demo(system: System) -> System:
    """Everything that ``make up`` starts, but for the simulator: seeded, with demo logins, its page served."""
    system.carry_out(step for step in steps.STEPS if step is not steps.SIMULATOR_STARTED)
    return system
