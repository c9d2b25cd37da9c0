"""``make lock``: resolve the lock files anew. They hold names, versions and hashes, and no download address. Standard library only."""

from __future__ import annotations

import subprocess
import sys

from local import bootstrap, paths

# What each lock is resolved from. Services hold what the tests ran with: they are constrained by the first.
PROJECT = {name: ("--extra", name, "pyproject.toml") for name in ("dev", "processor", "reports", "bff", "operator")}
# What `make bench` compares with stands in an environment of its own.
# So does Airflow, with what the Dag's code needs of ours.
SOURCES = PROJECT | {
    "peers": ("benchmarks/peers/requirements.in",),
    "airflow": ("pyproject.toml", "reconciliation/airflow/requirements.in"),
}
OPTIONS = ("--universal", "--generate-hashes", "--no-annotate", "--no-header", "--no-emit-index-url", "--no-emit-find-links", "--quiet")
COMMAND_LIMIT_S = 600


def main() -> int:
    uv = bootstrap.uv()
    for name, source in SOURCES.items():
        output = paths.REPOSITORY / "locks" / f"{name}.txt"
        command = [str(uv), "pip", "compile", *OPTIONS, *source, "-o", str(output)]
        if name in PROJECT and name != "dev":
            command += ["--constraint", str(paths.REPOSITORY / "locks" / "dev.txt")]
        environment = bootstrap.uv_variables()
        subprocess.run(command, cwd=paths.REPOSITORY, env=environment, check=True, timeout=COMMAND_LIMIT_S, stdout=subprocess.DEVNULL)
        print(f"locks/{output.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
