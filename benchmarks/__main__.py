"""All benchmarks, or some by name, each in a process of its own.

python -m benchmarks [NAME ...] [--device gpu]
"""

import argparse
import subprocess
import sys

# Those of accuracy are made by hand, since they write documentation and take most of an hour; so
# are those of weightings, which docs/estimators.md shows.
NAMES = (
    "closed_forms",
    "allocations",
    "brain_stage",
    "simulation",
    "estimators",
    "tuning",
    "compile_times",
    "command_line",
    "reproduce",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    arguments = parser.parse_args()
    names = arguments.names or NAMES
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    device = ["--device", arguments.device]
    failed = []
    for name in names:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *device]).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
