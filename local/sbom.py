"""Software bills of materials in CycloneDX 1.6: ``make sbom`` writes them to ``sbom/``; ``python -m local.sbom --check``, which `make lint` runs, only looks at licences.

One file for each of our images and for the page (what we hand on: a part under a licence that ``licences.toml`` does not allow is an error), one for each Java server, and one
for the images that are pulled. What Debian's packages in an image are, its registry or the release's build attests (.github/workflows/release.yml).
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from local import fetch, paths
from local.licences import POLICY, Policy, policy
from local.parts import AIRFLOW, JAVA_LICENCE, Part, images, java, shipped

FOLDER = paths.REPOSITORY / "sbom"
OURS = "Apache-2.0"
WITHOUT_AIRFLOW = (
    "what Airflow's packages say of their licences is not known, for it is not installed here: python3 -m local.bootstrap --airflow"
)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m local.sbom", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="look at the licences, write nothing")
    parser.add_argument("--into", type=Path, default=FOLDER, help="the folder to write to (default: %(default)s)")
    options = parser.parse_args(arguments)
    rules = policy()
    handed_on = shipped(rules)
    if not paths.AIRFLOW_VENV.is_dir():
        print(WITHOUT_AIRFLOW, file=sys.stderr)
        if not options.check:
            return 1
        del handed_on[AIRFLOW]
    for part in (wrong := refused(rules, handed_on)):
        print(
            f"{part.name} {part.version}: {part.licence or 'no licence that is allowed is known'}; see local/{POLICY.name}", file=sys.stderr
        )
    counted = Counter(part.licence for part in {part for parts in handed_on.values() for part in parts})
    print(", ".join(f"{licence or 'unknown'}: {count}" for licence, count in counted.most_common()))
    if not options.check:
        write_all(handed_on, options.into)
    return 1 if wrong else 0


def refused(rules: Policy, handed_on: Mapping[str, Iterable[Part]]) -> list[Part]:
    """Every part under a licence that is not allowed, once."""
    return sorted({part for parts in handed_on.values() for part in parts if not rules.allows(part.licence)}, key=lambda part: part.name)


def write_all(handed_on: Mapping[str, Iterable[Part]], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    version = tomllib.loads((paths.REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    bills = {name: bill(f"bionicpro-{name}", version, OURS, parts) for name, parts in handed_on.items()}
    bills |= {part: bill(part, "", JAVA_LICENCE, java(part)) for part in fetch.PARTS}
    bills["images"] = bill("bionicpro-images", version, OURS, images())
    for name, made in bills.items():
        file = folder / f"{name}.cdx.json"
        JsonV1Dot6(made).output_to_file(str(file), allow_overwrite=True, indent=2)
        print(f"{file.relative_to(folder.parent)}: {len(made.components)} parts")


def bill(subject: str, version: str, licence: str, parts: Iterable[Part]) -> Bom:
    """The bill of *subject*, which is itself under *licence*."""
    whole = Component(name=subject, version=version, type=ComponentType.APPLICATION, licenses=[LicenseFactory().make_from_string(licence)])
    made = Bom(components=[_component(part) for part in parts])
    made.metadata.component = whole
    made.register_dependency(whole, made.components)
    return made


def _component(part: Part) -> Component:
    scope, _, name = part.name.rpartition("/")
    purl = PackageURL(part.purl, scope or None, name, part.version or None)
    return Component(
        name=part.name,
        version=part.version or None,
        type=ComponentType.CONTAINER if part.purl == "docker" else ComponentType.LIBRARY,
        bom_ref=f"{purl}#{part.hashes[0][1][:12]}" if part.purl == "maven" else str(purl),  # the same jar may lie in two places, changed
        purl=purl,
        hashes=[HashType(alg=HashAlgorithm(algorithm), content=digest) for algorithm, digest in part.hashes],
        licenses=[LicenseFactory().make_from_string(part.licence)] if part.licence else (),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
