"""deploy/compose.yml without an engine: it parses, it is closed, it gives every process what it needs, and it agrees with local/."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import runpy
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bff.settings import Settings as BffProcess
from cli.probe.settings import ProbeSettings
from cli.schema import Settings as Migrator
from cli.status.settings import StatusSettings
from connectors.cli import AccountSettings
from connectors.cli import Settings as Applier
from connectors.watch import SourceSettings as SourceAccounts
from connectors.watch import WatchSettings
from local import environments, ports
from local.instance import SECRETS, Instance
from local.servers.keycloak import BUILD_OPTIONS
from reconciliation.settings import ReconciliationSettings
from reports_api.settings import Settings as ReportsProcess
from service_kit.settings import ServiceSettings
from simulator.cli import Settings as SimulatorProcess
from simulator.demo_data import USERS
from stream_processor.settings import ProcessorSettings
from tests.support.compose_file import COMPOSE, DEPLOY, REPOSITORY, SERVICES, given_to, make_secrets, put, secrets, variables
from tests.support.waiting import PATIENCE_S

TEMPLATES = REPOSITORY / "local" / "templates"
MAVEN = REPOSITORY / "local" / "maven"

# Which settings each of our processes builds at its start.
SETTINGS: dict[str, tuple[type[ServiceSettings], ...]] = {
    "schema": (Migrator,),
    "accounts": (AccountSettings,),
    "topics": (Applier,),
    "connectors": (SourceAccounts, Applier),
    "load-demo": (SimulatorProcess,),
    "simulator": (SimulatorProcess,),
    "processor": (ProcessorSettings,),
    "reports-api": (ReportsProcess,),
    "bff": (BffProcess,),
    "watch": (WatchSettings,),
    "operator": (ReconciliationSettings, Applier, StatusSettings, ProbeSettings),
}
# The process of local/ that each service is.
COUNTERPARTS = {
    "eraser": "eraser",
    "watch": "watch",
    "processor": "processor",
    "reports-api": "reports-api",
    "bff": "bff",
    "simulator": "simulator",
    "load-demo": "simulator",
    "schema": "migrator",
    "connect": "connect",
    "kafka": "kafka",
    "operator": "operator",
}
ENTRY_PACKAGES = {"processor": "stream_processor", "reports": "reports_api", "bff": "bff", "operator": "cli"}
FIRST_PARTY = {entry.parent.name for entry in REPOSITORY.glob("*/__init__.py")}
# What may differ from local/: where things are, which account may enter from where, and where secrets come from.
ADDRESSES = {
    "kafka": {
        *(
            "controller.quorum.bootstrap.servers",
            "controller.quorum.voters",
            "listeners",
            "advertised.listeners",
            "log.dirs",
            "config.providers",
        ),
        *("config.providers.env.class", "config.providers.env.param.allowlist.pattern"),
        *("config.providers.secrets.class", "config.providers.secrets.param.allowed.paths"),
    },
    "connect": {"bootstrap.servers", "listeners", "rest.advertised.host.name", "rest.advertised.port", "plugin.path"},
    "postgres": {"listen_addresses", "port", "unix_socket_directories"},
    "redis": {"bind", "port", "dir", "aclfile"},
}
# What only the local form has: in containers a name of the network leads to one server alone, and the engine starts again what has ended.
LOCAL_ALONE = {"BIONICPRO_STATUS__INSTANCE", "BIONICPRO_REBUILD__START_WORKERS"}


def test_every_service_builds_its_settings_from_its_variables_and_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for service, classes in SETTINGS.items():
        with monkeypatch.context() as context:
            put(context, service, tmp_path / service)
            for settings in classes:
                settings()


def test_no_service_is_given_variables_that_it_does_not_read() -> None:
    for service, classes in SETTINGS.items():
        read = {field for settings in classes for field in settings.model_fields}
        given = {name for name in variables(service) | secrets(service) if name.startswith("BIONICPRO_")}
        assert {name for name in given if name.removeprefix("BIONICPRO_").partition("__")[0].lower() not in read} == set(), service


def test_every_process_with_an_account_refuses_to_start_without_its_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for service in SETTINGS:
        with monkeypatch.context() as context:
            put(context, service, tmp_path / service, secret="")
            with pytest.raises(ValueError, match="placeholder"):
                SETTINGS[service][0]()


def test_the_step_for_the_sources_gets_an_administrator_and_every_password() -> None:
    given = given_to("sources") | {"BIONICPRO_POSTGRES_ADMIN__HOST": "127.0.0.1", "BIONICPRO_POSTGRES_ADMIN__PORT": "1"}
    with_settings = _run_sources(given)
    assert with_settings.returncode == 1, with_settings.stderr  # 78 would be a wrong variable; 1 is a server that is not there
    assert "127.0.0.1" in with_settings.stderr
    assert _run_sources(given_to("sources", secret="")).returncode == 78


def _run_sources(variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simulator.sources"],
        env={"PATH": os.environ["PATH"]} | variables,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_services_get_the_variables_and_accounts_that_local_gives_them(tmp_path: Path) -> None:
    instance = Instance(tmp_path, dict.fromkeys(ports.USUAL, 1), dict.fromkeys(SECRETS, "x" * 32))
    processes = environments.all_of(instance)
    for service, process in COUNTERPARTS.items():
        given, expected = given_to(service), processes[process]
        assert not expected.keys() - given.keys() - LOCAL_ALONE, f"{service} lacks variables that local/ gives {process}"
        users = {
            name: value
            for name, value in expected.items()
            if name.endswith(
                ("__USER", "__USERNAME", "__SASL_USERNAME", "__SASL_MECHANISM", "__SECURITY_PROTOCOL", "__DATABASE", "__REALM")
            )
        }
        assert {name: given[name] for name in users} == users, service
    keycloak = given_to("keycloak").keys() | given_to("demo-users").keys()
    assert not processes["keycloak"].keys() - keycloak


def test_demo_users_get_a_password_each() -> None:
    module = runpy.run_path(str(DEPLOY / "images" / "demo_users.py"), run_name="demo_users")
    given = given_to("demo-users")
    made = module["representations"](given)
    assert [user["user_id"] for user in made] == [str(user.user_id) for user in USERS]
    assert {name for name in given if name.startswith("BIONICPRO_DEMO_")} == {module["variable_of"](user.login) for user in USERS}
    with pytest.raises(ValueError, match=r"BIONICPRO_DEMO_.*make-secrets"):
        module["representations"](given_to("demo-users", secret=""))


# -- shape -----------------------------------------------------------------------------------------------------------------


def test_only_what_people_log_in_to_is_published_and_on_loopback_alone() -> None:
    published = {service: body["ports"] for service, body in SERVICES.items() if "ports" in body}
    assert published.keys() == {"bff", "keycloak", "airflow"}
    assert all(port.startswith("127.0.0.1:") for ports_of in published.values() for port in ports_of)
    assert not [service for service, body in SERVICES.items() if "network_mode" in body or body.get("privileged")]


def test_data_and_sessions_have_no_way_out() -> None:
    networks = COMPOSE["networks"]
    assert {name for name, body in networks.items() if not body.get("internal")} == {"front"}
    assert {service for service, body in SERVICES.items() if "front" in body["networks"]} == {"bff", "keycloak", "airflow"}
    assert "back" not in SERVICES["bff"]["networks"]


def test_images_are_pinned() -> None:
    for service, body in SERVICES.items():
        assert is_pinned(body["image"]), f"{service}: {body['image']}"
    for file in (DEPLOY / "images").glob("Dockerfile.*"):
        stages: set[str] = set()
        for image, stage in re.findall(r"^FROM (\S+)(?: AS (\S+))?$", file.read_text(encoding="utf-8"), re.MULTILINE):
            assert image in stages or is_pinned(image), f"{file.name}: {image}"
            stages.add(stage)


def test_servers_are_of_the_versions_that_local_runs() -> None:
    connect = (DEPLOY / "images" / "Dockerfile.connect").read_text(encoding="utf-8")
    kafka = SERVICES["kafka"]["image"].rpartition(":")[2]
    assert f"<kafka.version>{kafka}</kafka.version>" in (MAVEN / "kafka.xml").read_text(encoding="utf-8")
    keycloak = (DEPLOY / "images" / "Dockerfile.keycloak").read_text(encoding="utf-8")
    (version,) = set(re.findall(r"^FROM quay.io/keycloak/keycloak:(\S+)", keycloak, re.MULTILINE))
    assert f"<version>{version}</version>" in (MAVEN / "keycloak.xml").read_text(encoding="utf-8")
    assert f"kc.sh build {' '.join(BUILD_OPTIONS)}\n" in keycloak
    (debezium,) = re.findall(r"^FROM quay.io/debezium/connect:(\S+)$", connect, re.MULTILINE)
    assert f"<version>{debezium}</version>" in (MAVEN / "debezium.xml").read_text(encoding="utf-8")


def test_every_wait_is_for_something_that_can_come() -> None:
    for service, body in SERVICES.items():
        for other, wait in body.get("depends_on", {}).items():
            if wait["condition"] == "service_healthy":
                assert has_health_check(other), f"{service} waits for {other} to be healthy"
            else:
                assert wait["condition"] == "service_completed_successfully"
                assert SERVICES[other]["restart"] == "no", f"{service} waits for {other} to end"


def test_our_containers_are_confined() -> None:
    ours = [service for service, body in SERVICES.items() if "build" in body]
    assert {"processor", "reports-api", "bff", "simulator", "operator", "sources"} <= set(ours)
    for service in ours:
        assert SERVICES[service]["cap_drop"] == ["ALL"], service
        dockerfile = (REPOSITORY / SERVICES[service]["build"]["dockerfile"]).read_text(encoding="utf-8")
        assert re.findall(r"^USER (\S+)$", dockerfile, re.MULTILINE)[-1] != "root", service
        assert "HEALTHCHECK" in dockerfile, service


def test_every_container_is_bounded_and_its_log_is_rotated() -> None:
    for service, body in SERVICES.items():
        assert body["logging"]["options"].keys() == {"max-size", "max-file"}, service
        assert body["pids_limit"] > 0, service
        assert re.fullmatch(r"\d+[mg]", body["mem_limit"]), service


def test_our_images_say_what_they_are() -> None:
    for file in (DEPLOY / "images").glob("Dockerfile.*"):
        stages = [stage for stage in file.read_text(encoding="utf-8").split("\nFROM ") if "\nENTRYPOINT " in stage]
        assert stages, file.name
        for stage in stages:
            assert set(re.findall(r"org\.opencontainers\.image\.(\w+)=", stage)) == {"title", "licenses", "version", "revision"}, file.name


def test_mounted_files_exist() -> None:
    for service, body in SERVICES.items():
        for volume in body.get("volumes", []):
            source = volume.partition(":")[0]
            exists = (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
            assert exists, f"{service}: {volume}"


def test_images_copy_what_exists_and_is_not_left_out() -> None:
    left_out = {
        line.strip("*/") for line in (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines() if not line.startswith("#")
    }
    for file in (DEPLOY / "images").glob("Dockerfile.*"):
        for arguments in re.findall(r"^COPY (?:--chown=\S+ )?((?!--)\S.*)$", file.read_text(encoding="utf-8"), re.MULTILINE):
            for source in arguments.split()[:-1]:
                assert (REPOSITORY / source).exists(), f"{file.name}: {source}"
                assert source.partition("/")[0] not in left_out, f"{file.name}: {source}"


def test_each_image_holds_what_its_process_imports() -> None:
    for image, package in ENTRY_PACKAGES.items():
        text = (DEPLOY / "images" / f"Dockerfile.{image}").read_text(encoding="utf-8")
        copied = {source.partition("/")[0] for source in re.findall(r"^COPY (\w+) \w+$", text, re.MULTILINE)}
        assert imported_packages(package) <= copied, f"Dockerfile.{image}"
        assert f"locks/{image}.txt" in text
        assert "--require-hashes" in text


# -- the same configuration as local/ ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "theirs", "ours"),
    [
        ("kafka", "kafka.properties", "kafka/server.properties"),
        ("connect", "connect.properties", "connect/connect.properties"),
        ("postgres", "postgresql.conf", "postgres/postgresql.conf"),
        ("redis", "redis.conf", "redis/redis.conf"),
    ],
)
def test_servers_are_configured_as_in_local(server: str, theirs: str, ours: str) -> None:
    expected, found = properties(TEMPLATES / theirs), properties(DEPLOY / ours)
    for key in ADDRESSES[server]:
        expected.pop(key, None)
        found.pop(key, None)
    assert {key: value.replace("${secrets:/run/secrets:", "${env:") for key, value in found.items()} == expected


def test_clickhouse_has_the_accounts_of_local(tmp_path: Path) -> None:
    made = make_secrets(tmp_path / "env")
    passwords = ET.parse(tmp_path / "secrets" / "clickhouse-passwords").getroot()
    ours, theirs = (ET.parse(file).getroot() for file in (DEPLOY / "clickhouse" / "users.xml", TEMPLATES / "clickhouse-users.xml"))
    assert ours.find("users/default").attrib == {"remove": "remove"}  # type: ignore[union-attr]
    accounts = {element.tag for element in ours.findall("users/*")} - {"default"}
    assert accounts == {element.tag for element in passwords.findall("users/*")}
    for account in accounts:
        assert rights(ours, account) == rights(theirs, account), account
        secret = made[f"BIONICPRO_SECRET_CLICKHOUSE_{account.upper()}"]
        assert passwords.findtext(f"users/{account}/password_sha256_hex") == hashlib.sha256(secret.encode()).hexdigest()
    for profile in ("reading", "auditing"):
        assert flat(ours.find(f"profiles/{profile}")) == flat(theirs.find(f"profiles/{profile}"))


def test_clickhouse_is_configured_as_in_local() -> None:
    ours, theirs = (ET.parse(file).getroot() for file in (DEPLOY / "clickhouse" / "config.xml", TEMPLATES / "clickhouse-config.xml"))
    own_places = {"path", "tcp_port", "http_port", "listen_host", "users_config", "user_directories", "max_server_memory_usage"}
    for element in theirs:
        if element.tag not in own_places:
            assert flat(ours.find(element.tag)) == flat(element), element.tag


def test_the_realm_gets_every_variable_that_it_names() -> None:
    realm = (DEPLOY / "keycloak" / "bionicpro-realm.json").read_text(encoding="utf-8")
    assert set(re.findall(r"\$\{(BIONICPRO_\w+)\}", realm)) <= given_to("keycloak").keys()


# -- reading the files -------------------------------------------------------------------------------------------------------


def is_pinned(image: str) -> bool:
    """Whether the tag names a version (at least two numbers)."""
    return re.fullmatch(r"[a-z0-9./-]+:\d+\.\d+[\w.-]*", image) is not None


def has_health_check(service: str) -> bool:
    body = SERVICES[service]
    if "healthcheck" in body:
        return True
    return "build" in body and "HEALTHCHECK --" in (REPOSITORY / body["build"]["dockerfile"]).read_text(encoding="utf-8")


def imported_packages(package: str) -> set[str]:
    """The packages of this repository that *package* imports, directly or through others."""
    seen: set[str] = set()
    waiting = {package}
    while waiting:
        current = waiting.pop()
        seen.add(current)
        for file in (REPOSITORY / current).rglob("*.py"):
            waiting |= (imports_of(file) & FIRST_PARTY) - seen
    return seen


def imports_of(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def properties(file: Path) -> dict[str, str]:
    """``key=value``, ``key = value`` and ``key value`` lines; a template's ``$$`` is a dollar."""
    lines = (line.strip().replace("$$", "$") for line in file.read_text(encoding="utf-8").splitlines())
    pairs = (re.match(r"([\w.-]+)(?:\s*=\s*|\s+)(.*)", line) for line in lines if line and not line.startswith("#"))
    return {pair[1]: pair[2] for pair in pairs if pair}


def rights(users: ET.Element, account: str) -> tuple[object, ...]:
    return tuple(flat(users.find(f"users/{account}/{part}")) for part in ("profile", "quota", "grants"))


def flat(element: ET.Element | None) -> list[tuple[str, str]]:
    """Tags and texts of an element, in order."""
    assert element is not None
    return [(part.tag, (part.text or "").strip()) for part in element.iter()]


def test_every_image_can_be_built_from_packages_under_the_name_that_it_is_asked_for() -> None:
    """Upstream's by deploy/images/standins, ours by the Dockerfiles: `deploy/build-images` knows them all, and nothing else."""
    builder = runpy.run_path(str(DEPLOY / "build-images"), run_name="build_images")
    names = tomllib.loads((DEPLOY / "images" / "standins" / "names.toml").read_text(encoding="utf-8"))
    assert set(names) == set(builder["STANDIN_ORDER"])
    used = {service["image"] for service in SERVICES.values()}
    bases = {base for file in (DEPLOY / "images").glob("Dockerfile.*") for base in upstream_bases(file.read_text(encoding="utf-8"))}
    assert {name for name in used if name.startswith("bionicpro/")} == set(builder["OURS"])
    assert {name for name in used | bases if not name.startswith("bionicpro/")} == {
        names[each] for each in names if each not in ("debian", "java")
    }


def upstream_bases(dockerfile: str) -> set[str]:
    """The images that *dockerfile* stands on, without its own stages."""
    stages = re.findall(r"^FROM (\S+)(?: AS (\S+))?", dockerfile, re.MULTILINE)
    return {base for base, _ in stages} - {stage for _, stage in stages}
