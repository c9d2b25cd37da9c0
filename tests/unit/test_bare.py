"""What a bare root file system gets of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bare import this_machine, trials
from tests.bare.__main__ import main


def test_only_what_says_how_packages_are_reached_is_taken_over() -> None:
    wanted = {
        "http_proxy": "a",
        "NO_PROXY": "b",
        "PIP_INDEX_URL": "c",
        "UV_DEFAULT_INDEX": "d",
        "SSL_CERT_FILE": "e",
        "NODE_EXTRA_CA_CERTS": "f",
    }
    others = {"PATH": "/bin", "HOME": "/root", "CLOUD_TOKEN": "x", "BIONICPRO_CACHE": "y", "PYTHONPATH": "z"}
    assert this_machine.variables(wanted | others) == wanted


def test_a_link_in_the_root_file_system_is_replaced_and_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.write_text("ours")
    (root / "etc" / "apt" / "apt.conf.d").mkdir(parents=True)
    (root / "etc" / "hosts").symlink_to(outside)
    monkeypatch.setattr(this_machine, "FILES", ("/etc/hosts",))
    this_machine.take_over(root)
    assert outside.read_text() == "ours"
    assert (root / "etc" / "hosts").read_text() == Path("/etc/hosts").read_text()


def test_an_ordinary_user_is_told_that_only_root_can_do_it(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.paths.is_root", lambda: False)
    assert main([]) == 1
    assert "run it as root" in capsys.readouterr().err


def test_a_root_file_system_in_which_something_is_mounted_is_not_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "proc").mkdir()
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: f"proc {tmp_path}/proc proc rw 0 0\n")
    with pytest.raises(trials.TrialError, match="still mounted"):
        trials.remove(tmp_path)
    assert (tmp_path / "proc").exists()
