"""All benchmarks, or some by name, each in a process of its own.

python -m benchmarks [NAME ...]
"""

import argparse
import subprocess
import sys

# Those of accuracy are made by hand, since they write documentation and take most of an hour.
NAMES = (
    "closed_forms",
    "command_line",
    "allocations",
    "tuning",
    "simulation",
    "reproduce",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    names = parser.parse_args().names or NAMES
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    failed = []
    for name in names:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"]).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
