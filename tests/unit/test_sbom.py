"""Bills of materials: what is read from locks, and which licences are refused."""

from __future__ import annotations

import json
from pathlib import Path

from cyclonedx.output.json import JsonV1Dot6

from local import parts, sbom
from local.licences import Policy, policy
from local.parts import Part

RULES = Policy(frozenset({"MIT", "Apache-2.0", "BSD-3-Clause"}), {"MIT License": "MIT"}, {"by-hand": "BSD-3-Clause"})
DIGEST = "ab" * 32
LOCK = f"""by-hand==1.0 ; sys_platform == 'win32' \\
    --hash=sha256:{DIGEST} \\
    --hash=sha256:{"cd" * 32}
nobody-has-installed-this[extra]==2.3.4 \\
    --hash=sha256:{"ef" * 32}
"""


def test_every_package_of_a_lock_is_a_part_with_all_its_hashes(tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text(LOCK, encoding="utf-8")
    first, second = parts.python(tmp_path / "lock.txt", RULES)
    assert first == Part("pypi", "by-hand", "1.0", "BSD-3-Clause", (("SHA-256", DIGEST), ("SHA-256", "cd" * 32)))
    assert (second.name, second.version, second.licence) == ("nobody-has-installed-this", "2.3.4", None)


def test_licences_are_read_where_the_packages_are_installed(tmp_path: Path) -> None:
    told = tmp_path / "lib" / "python3.11" / "site-packages" / "nobody_has_installed_this-2.3.4.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: nobody_has_installed_this\nVersion: 2.3.4\nLicense: MIT License\n", encoding="utf-8"
    )
    (tmp_path / "lock.txt").write_text(LOCK, encoding="utf-8")
    assert [part.licence for part in parts.python(tmp_path / "lock.txt", RULES, tmp_path)] == ["BSD-3-Clause", "MIT"]


def test_what_only_the_pages_checks_need_is_no_part_of_the_page(tmp_path: Path) -> None:
    packages = {
        "": {"version": "1"},
        "node_modules/react": {"version": "19.0.0", "license": "MIT", "integrity": "sha512-q6s="},
        "node_modules/eslint": {"version": "9.0.0", "license": "MIT", "dev": True},
    }
    (tmp_path / "lock.json").write_text(json.dumps({"packages": packages}), encoding="utf-8")
    assert list(parts.npm(tmp_path / "lock.json")) == [Part("npm", "react", "19.0.0", "MIT", (("SHA-512", "abab"),))]


def test_an_expression_is_allowed_if_one_alternative_is_allowed_in_all_its_parts() -> None:
    for allowed in ("MIT", "MIT AND Apache-2.0", "GPL-3.0-only OR MIT", "(MIT OR GPL-3.0-only)"):
        assert RULES.allows(allowed), allowed
    for refused in (None, "", "GPL-3.0-only", "MIT AND GPL-3.0-only", "GPL-2.0-only OR GPL-3.0-only", "MIT AND (MIT OR GPL-3.0-only)"):
        assert not RULES.allows(refused), refused


def test_words_that_name_no_allowed_licence_are_not_taken_for_one() -> None:
    assert RULES.identified("MIT License") == "MIT"
    assert [RULES.identified(words) for words in ("", "BSD", "Copyright (c) 2017 Somebody", "GPL-3.0-only")] == [None] * 4


def test_a_part_under_another_licence_or_none_is_refused() -> None:
    found = {"bff": [Part("pypi", "good", "1", "MIT"), Part("pypi", "unknown", "1"), Part("pypi", "copyleft", "1", "GPL-3.0-only")]}
    assert [part.name for part in sbom.refused(RULES, found)] == ["copyleft", "unknown"]


def test_all_that_we_hand_on_is_under_licences_that_are_allowed() -> None:
    rules = policy()
    handed_on = parts.shipped(rules)
    assert set(handed_on) == {*parts.SERVICES, parts.AIRFLOW, "page"}
    assert all(handed_on.values())
    assert sbom.refused(rules, handed_on) == []


def test_a_bill_names_its_subject_and_every_part_once() -> None:
    twice = [Part("maven", "slf4j-api", "2.0", None, (("SHA-256", digest * 32),)) for digest in ("ab", "cd")]
    made = json.loads(JsonV1Dot6(sbom.bill("subject", "1.2", "MIT", [Part("npm", "@scope/name", "3", "MIT"), *twice])).output_as_string())
    assert made["specVersion"] == "1.6"
    assert (made["metadata"]["component"]["name"], made["metadata"]["component"]["version"]) == ("subject", "1.2")
    assert [(each["purl"], each.get("licenses")) for each in made["components"]][:1] == [
        ("pkg:npm/%40scope/name@3", [{"license": {"id": "MIT"}}])
    ]
    assert len({each["bom-ref"] for each in made["components"]}) == 3


def test_the_images_that_are_pulled_are_listed_and_ours_are_not() -> None:
    names = {part.name for part in parts.images()}
    assert {"postgres", "apache/kafka", "quay.io/keycloak/keycloak"} <= names
    assert not [name for name in names if name.startswith("bionicpro")]
