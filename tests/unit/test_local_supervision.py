import configparser
import shlex
from pathlib import Path

import pytest

from local import services, supervision, system
from local.instance import Instance, open_instance
from local.launch import wait_for
from local.servers.program import Program
from local.up import status_line
from service_kit.environment_files import parsed


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    opened, _ = open_instance(tmp_path / "one", usual_ports=False)
    return opened


@pytest.mark.parametrize("argument", ["plain", "two words", 'a "quote"', "back\\slash", "per%cent", "semi;colon", "lib/*"])
def test_a_programs_arguments_survive_the_supervisors_file(argument: str, tmp_path: Path) -> None:
    program = Program("p", ("run", argument), tmp_path)
    parsed = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    parsed.read_string(supervision.section(program, tmp_path))
    command = parsed["program:p"]["command"] % {}
    assert shlex.split(command) == ["run", argument]


def test_every_program_is_restarted_when_it_ends(instance: Instance) -> None:
    parsed = configparser.RawConfigParser()
    parsed.read_string(supervision.configuration(instance, services.programs(instance)))
    sections = [name for name in parsed.sections() if name.startswith("program:")]
    assert len(sections) == len(services.SERVICES)
    assert {parsed[name]["autorestart"] for name in sections} == {"unexpected"}
    assert {parsed[name]["exitcodes"] for name in sections} == {"78"}, "any other end, 0 too, is no end that anybody meant"


def test_no_secret_stands_on_a_command_line(instance: Instance) -> None:
    text = supervision.configuration(instance, services.programs(instance))
    assert not [name for name, secret in instance.secrets.items() if secret in text]


@pytest.mark.parametrize("server", ["kafka", "connect", "keycloak"])
def test_what_java_writes_for_a_while_is_the_instances_own(server: str, instance: Instance) -> None:
    assert f"-Djava.io.tmpdir={instance.folder / 'tmp'}" in system.SERVERS[server].program(instance).command
    assert instance.temporary.stat().st_mode & 0o077 == 0


def test_temporary_files_of_an_earlier_start_are_gone(tmp_path: Path) -> None:
    for _ in range(2):
        opened, _ = open_instance(tmp_path / "one", usual_ports=False)
        assert list(opened.temporary.iterdir()) == []
        (opened.temporary / "left").touch()


def test_what_a_server_needs_is_started_with_it() -> None:
    assert system.with_needs(["connect"]) == ["kafka", "connect"]


def test_an_unknown_server_is_named() -> None:
    with pytest.raises(ValueError, match="unknown: rabbit"):
        system.with_needs(["rabbit"])


def test_environment_values_are_taken_as_they_stand() -> None:
    assert parsed("# note\nA=1\n\nURL=redis://u:p=w@h/0\n") == {"A": "1", "URL": "redis://u:p=w@h/0"}
    assert parsed("A='x # y'\n B = $HOME ${A} \n #C=1\nD=\nnothing\nA=a#b\n") == {"A": "a#b", "B": "$HOME ${A}", "D": ""}


def test_what_never_answers_is_named_at_the_deadline() -> None:
    assert wait_for(["127.0.0.1:1"], deadline_s=0.01) == "127.0.0.1:1"


def test_the_status_line_names_only_what_does_not_run() -> None:
    states = [supervision.ProcessState("kafka", "RUNNING", 1, ""), supervision.ProcessState("connect", "BACKOFF", 0, "")]
    assert status_line(states) == "1 of 2 parts run; connect: BACKOFF"


@pytest.mark.parametrize(
    ("state", "code", "down"), [("EXITED", 78, True), ("EXITED", 70, False), ("RUNNING", 78, False), ("BACKOFF", 78, False)]
)
def test_what_stays_down_is_told_with_what_starts_it(state: str, code: int, down: bool) -> None:
    ended = supervision.ProcessState("processor", state, 0, "", code)
    assert ended.stays_down == down
    assert ("python -m local run processor" in status_line([ended])) == down
