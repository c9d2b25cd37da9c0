"""Which migrations are applied, decided without a database; and passwords as verifiers."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.sources.migrate import FOLDER, Migration, MigrationError, pending, read_migrations
from simulator.sources.roles import verifier_matches

ONE, TWO = Migration(1, "one", "SELECT 1"), Migration(2, "two", "SELECT 2")

# RFC 7677's example user "pencil", as PostgreSQL stores it.
VERIFIER = (
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)


def test_only_what_was_not_applied_is_pending() -> None:
    assert pending([ONE, TWO], {}) == [ONE, TWO]
    assert pending([ONE, TWO], {1: ONE.checksum}) == [TWO]
    assert pending([ONE, TWO], {1: ONE.checksum, 2: TWO.checksum}) == []


def test_a_migration_that_changed_after_it_was_applied_is_refused() -> None:
    with pytest.raises(MigrationError, match="0001 was changed"):
        pending([ONE, TWO], {1: TWO.checksum})


def test_a_database_newer_than_the_code_is_refused() -> None:
    with pytest.raises(MigrationError, match="newer"):
        pending([ONE], {1: ONE.checksum, 2: TWO.checksum})


@pytest.mark.parametrize("names", [["0001_a.sql", "0003_b.sql"], ["0001_a.sql", "0001_b.sql"], ["0002_a.sql"], ["1_a.sql"], ["0001-a.sql"]])
def test_gaps_doubles_and_other_names_are_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1", encoding="utf-8")
    with pytest.raises(MigrationError):
        read_migrations(tmp_path)


@pytest.mark.parametrize("database", ["crm", "telemetry"])
def test_the_projects_own_migrations_are_well_named(database: str) -> None:
    assert read_migrations(FOLDER / database)


def test_a_verifier_matches_its_password_and_no_other() -> None:
    assert verifier_matches(VERIFIER, "pencil")
    assert not verifier_matches(VERIFIER, "pencils")


@pytest.mark.parametrize("text", ["", "None", "md5abc", "SCRAM-SHA-256$x:y$z:w"])
def test_what_is_no_scram_verifier_matches_nothing(text: str) -> None:
    assert not verifier_matches(text, "pencil")
