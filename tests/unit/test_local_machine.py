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
    assert machine.unsupported("Linux", "aarch64", (3, 13)) is None
    assert machine.too_little(memory_gib=16, disk_gib=50) is None


@pytest.mark.parametrize(("memory", "disk", "word"), [(1.0, 50.0, "memory"), (16.0, 0.5, "disk")])
def test_too_little_of_either_is_one_sentence_that_names_it(memory: float, disk: float, word: str) -> None:
    problem = machine.too_little(memory, disk)
    assert problem is not None
    assert word in problem
    assert "\n" not in problem


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
