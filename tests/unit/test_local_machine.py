from pathlib import Path

import pytest

from local import machine


@pytest.mark.parametrize(("system", "cpu"), [("Darwin", "arm64"), ("Windows", "AMD64"), ("Linux", "riscv64")])
def test_another_platform_is_named(system: str, cpu: str) -> None:
    problem = machine.unsupported(system, cpu, (3, 12))
    assert problem is not None
    assert system in problem


def test_an_old_python_is_named() -> None:
    problem = machine.unsupported("Linux", "x86_64", (3, 10))
    assert problem is not None
    assert "3.10" in problem


def test_a_fitting_machine_is_accepted() -> None:
    assert machine.unsupported("Linux", "aarch64", (3, 14)) is None
    assert machine.too_little_memory(16) is None
    assert machine.too_little_disk({Path("/a"): 6.0}, lambda _place: (1, 50.0)) is None


def test_too_little_memory_is_one_sentence() -> None:
    problem = machine.too_little_memory(1.0)
    assert problem is not None
    assert "memory" in problem
    assert "\n" not in problem


def test_room_is_counted_where_it_will_be_used() -> None:
    free = {Path("/home"): (1, 50.0), Path("/var/lib/x"): (2, 0.5), Path("/srv"): (1, 50.0)}
    problem = machine.too_little_disk({Path("/home"): 2.0, Path("/var/lib/x"): 1.0, Path("/srv"): 2.0}, free.__getitem__)
    assert problem is not None
    assert problem.startswith("1 GiB of free disk are needed for /var/lib/x; 0.5 GiB are free")


def test_places_on_one_file_system_need_their_room_together() -> None:
    problem = machine.too_little_disk({Path("/home"): 2.0, Path("/srv"): 2.0}, lambda _place: (1, 3.0))
    assert problem is not None
    assert "4 GiB" in problem


def test_a_place_that_is_not_there_yet_is_on_the_file_system_of_what_is_above_it(tmp_path: Path) -> None:
    assert machine.free_disk(tmp_path / "a" / "b")[0] == tmp_path.stat().st_dev


@pytest.mark.parametrize("name", ["plain", "two words", "it's", 'a "quote"', "Отчёты", "a&b <c>", "(1)"])
def test_an_ordinary_folder_is_possible(name: str) -> None:
    assert machine.impossible_path(Path("/home") / name) is None


@pytest.mark.parametrize("name", ["a,b", "a:b", "a;b", "a#b", "100%", "a\nb", "$HOME", "a\\b", "a*"])
def test_a_folder_whose_name_some_servers_file_cannot_hold_is_named(name: str) -> None:
    problem = machine.impossible_path(Path("/home") / name)
    assert problem is not None
    assert "\n" not in problem


NEEDS = [machine.Need("a Java runtime 17 or newer", "default-jre-headless"), machine.Need("Chromium", "chromium")]


def test_everything_that_is_missing_is_said_in_one_sentence() -> None:
    said = machine.sentence(NEEDS, apt=True)
    assert said.startswith(
        "missing on this machine: a Java runtime 17 or newer, Chromium. Install them: sudo apt-get install default-jre-headless chromium."
    )
    assert "apt" not in machine.sentence(NEEDS, apt=False)


def test_what_builds_the_package_without_a_wheel_is_asked_for_on_arm64_alone() -> None:
    assert machine.for_building("x86_64", compiler=False, headers=False) == []
    assert machine.for_building("aarch64", compiler=True, headers=True) == []
    assert [need.package for need in machine.for_building("aarch64", compiler=False, headers=False)] == ["gcc", "python3-dev"]


def test_on_ubuntu_chromium_is_no_apt_package_and_the_way_is_said() -> None:
    assert machine.not_to_be_had(NEEDS, "debian") is None
    assert machine.not_to_be_had(NEEDS[:1], "ubuntu") is None
    assert "snap install chromium" in (machine.not_to_be_had(NEEDS, "ubuntu") or "")


@pytest.mark.parametrize("name", machine.CHROMIUM)
def test_the_browser_is_found_under_each_of_its_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.chromium() == tmp_path / name


@pytest.mark.parametrize(
    ("text", "major"),
    [('openjdk version "17.0.15" 2025-04-15', 17), ('java version "1.8.0_442"', 8), ('openjdk version "25" 2025-09-16', 25), ("", 0)],
)
def test_javas_major_version_is_read(text: str, major: int) -> None:
    assert machine.parse_java_version(text) == major


@pytest.mark.parametrize(
    ("version", "suffices"),
    [("v20.19.0", True), ("v20.18.9", False), ("v22.11.0", False), ("v22.12.0", True), ("v24.1.0", True), ("", False)],
)
def test_node_must_be_what_the_front_end_asks_for(version: str, suffices: bool) -> None:
    assert machine.node_suffices(version) is suffices
