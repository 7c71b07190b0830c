"""All benchmarks, or some of them, one after the other.

    python -m benchmarks [NAME ...] [--output results]

Each runs in a process of its own, prints its tables, and writes JSON to a folder of its own under `--output`. Nothing
else should run meanwhile. `python -m benchmarks.NAME --help` says what each measures.
"""

import argparse
import subprocess
import sys
from pathlib import Path

FOLDERS = {
    "outer_throughput": "outer_throughput",
    "meta_gradients": "meta_gradients",
    "optimizer_update": "optimizer_update",
    "ppo": "ppo_speed",
    "objectives": "objectives_speed",
    "population": "population",
    "host_overhead": "host_overhead",
    "roofline": "roofline",
}
"""By benchmark: the folder of its results."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FOLDERS)} (default: all)")
    parser.add_argument("--output", type=Path, help="where results are written (default: nowhere)")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in FOLDERS]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(FOLDERS)}")
    failed = []
    for name in options.names or FOLDERS:
        output = [] if options.output is None else ["--output", str(options.output / FOLDERS[name])]
        print(f"\n{name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *output], check=False).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
