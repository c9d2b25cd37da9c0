"""``python3 -m tests.bare``: the two commands on bare Debian, as somebody meets them who has git, make, Python and the README. Standard library only.

Makes a bare root file system for each release (debootstrap, minbase), copies what is committed into it, and runs in it: `make up` of a user without
packages, of root below /root, of the user once root has installed the packages. Needs root, debootstrap, and 8 GiB of disk. What is mounted and
started lives in a namespace of its own and ends with it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from local import paths
from tests.bare import rootfs, trials

BEGAN = time.monotonic()
DEBOOTSTRAP_S = 3600.0
USUAL = ("bookworm", "trixie")
RESULTS = paths.REPOSITORY / "test-results" / "bare"


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.inside:
            _inside(options)
            return 0
        _require()
        failed = [release for release in options.releases or USUAL if not _tried(release, options)]
    except rootfs.TrialError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if not options.inside:  # the process around it says so
            print("\nstopped", file=sys.stderr)
        return 130
    report("all was as it should be" if not failed else f"not as it should be: {', '.join(failed)}; logs in {RESULTS}")
    return 1 if failed else 0


def report(line: str) -> None:
    print(f"[{time.monotonic() - BEGAN:4.0f} s] {line}", flush=True)


def _require() -> None:
    """Raises TrialError where this cannot work, with what to do."""
    if not paths.is_root():
        raise rootfs.TrialError("only root may make and enter a root file system: run it as root")
    absent = [program for program in ("debootstrap", "unshare", "chroot", "git") if shutil.which(program) is None]
    if absent:
        raise rootfs.TrialError(
            f"missing on this machine: {', '.join(absent)}. Install: apt-get install debootstrap util-linux coreutils git"
        )


def _tried(name: str, options: argparse.Namespace) -> bool:
    """Whether everything was right in *name*. The trial runs as the first process of its own namespaces: whatever it mounts or starts ends with it."""
    original = rootfs.base(rootfs.RELEASES[name], options.mirror, options.keyring, DEBOOTSTRAP_S, report)
    folder = Path(tempfile.mkdtemp(prefix=f"bionicpro-bare-{name}-", dir=options.folder))
    shutil.rmtree(RESULTS / name, ignore_errors=True)
    (RESULTS / name).mkdir(parents=True)
    flags = [flag for flag, wanted in (("--caches", options.caches), ("--browser", options.browser)) if wanted]
    command = [sys.executable, "-m", "tests.bare", name, "--inside", str(folder / "root"), *flags]
    try:
        report(f"{name}: copying the root file system")
        rootfs.copied(original, folder / "root")
        apart = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL"]
        process = subprocess.Popen([*apart, *command], cwd=paths.REPOSITORY)
        try:
            return process.wait() == 0
        finally:
            process.kill()  # and with it, by the kernel, all that runs there
            process.wait()
    finally:
        if options.keep:
            report(f"{name}: kept in {folder}")
        else:
            trials.remove(folder)


def _inside(options: argparse.Namespace) -> None:
    name = options.releases[0]
    rootfs.mount(options.inside)
    trials.all_trials(
        options.inside,
        RESULTS / name,
        os.environ,
        caches=options.caches,
        browser=options.browser,
        report=lambda line: report(f"{name}: {line}"),
    )


def _release(name: str) -> str:
    if name not in rootfs.RELEASES:
        raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(rootfs.RELEASES)}")
    return name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tests.bare", description=__doc__)
    known = ", ".join(rootfs.RELEASES)
    parser.add_argument("releases", nargs="*", metavar="RELEASE", type=_release, help=f"of {known} (default: {' '.join(USUAL)})")
    parser.add_argument("--caches", action="store_true", help="take over what uv, Maven and npm have in our home folder, to save time")
    parser.add_argument("--browser", action="store_true", help="also a test in a real browser")
    parser.add_argument("--mirror", metavar="URL", help="of the releases' packages (default: debootstrap's own, which Ubuntu has none of)")
    parser.add_argument("--keyring", type=Path, help="the distribution's archive keys, where this machine has none (Ubuntu's on Debian)")
    parser.add_argument("--folder", type=Path, help="where the root file systems are copied to (default: the folder for temporary files)")
    parser.add_argument("--keep", action="store_true", help="leave the copies for a look")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
