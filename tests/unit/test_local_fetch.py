import io
import tarfile
from pathlib import Path

import pytest

from local import fetch

LISTED = fetch.checksums(fetch.CHECKSUMS.read_text(encoding="utf-8"))


def test_every_part_has_listed_files() -> None:
    assert all(LISTED[part] for part in (*fetch.PARTS, *fetch.FOR_TESTS))


def test_every_checksum_is_a_sha256() -> None:
    digests = [digest for files in LISTED.values() for digest in files.values()]
    assert all(len(digest) == 64 and int(digest, 16) for digest in digests)


def test_a_missing_a_surplus_and_a_changed_file_are_told_apart() -> None:
    problems = fetch.differences({"a.jar": "1", "b.jar": "2"}, {"b.jar": "3", "c.jar": "4"})
    assert problems == ["a.jar is missing", "c.jar is not listed", "b.jar has another sha256"]


def test_what_is_listed_is_accepted() -> None:
    assert fetch.differences({"a.jar": "1"}, {"a.jar": "1"}) == []


def test_the_folder_changes_with_what_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIONICPRO_CACHE", str(tmp_path))
    assert fetch.folder_of("kafka", {"a.jar": "1"}) != fetch.folder_of("kafka", {"a.jar": "2"})


def test_parts_that_were_not_fetched_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIONICPRO_CACHE", str(tmp_path))
    with pytest.raises(fetch.FetchError, match=r"kafka, debezium, keycloak.*make prepare"):
        fetch.located()


def test_an_archive_that_leaves_its_folder_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "evil.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("../outside.txt")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(fetch.FetchError, match="outside its folder"):
        fetch.unpack(archive, target)
    assert not (tmp_path / "outside.txt").exists()
