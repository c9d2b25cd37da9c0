"""``python -m cli.rebuild.run_until_parent_ends MODULE``: becomes ``python -m MODULE``, and is told to end when its parent ends in whatever way (Linux)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)  # it ended before we asked
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[1:]])  # noqa: S606  an argument list, no shell


if __name__ == "__main__":
    main()
