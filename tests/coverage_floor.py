"""Fail where the pure parts' branch coverage is below the floor."""

import json
import sys
from pathlib import Path

FLOOR = 95.0
PURE = ("boxset/dataset/", "boxset/assemble/", "boxset/compare/")


def main(report: Path) -> None:
    """Read coverage's JSON and exit 1 below the floor."""
    files = {name: data["summary"] for name, data in json.loads(report.read_text())["files"].items() if name.startswith(PURE)}
    total = sum(s["num_statements"] + s["num_branches"] for s in files.values())
    covered = sum(s["covered_lines"] + s["covered_branches"] for s in files.values())
    share = 100 * covered / total
    print(f"branch coverage of {', '.join(PURE)}: {share:.1f} % (floor {FLOOR:.0f} %)")
    if share < FLOOR:
        worst = sorted(files, key=lambda name: files[name]["percent_covered"])[:5]
        sys.exit("below the floor; least covered: " + ", ".join(f"{name} {files[name]['percent_covered']:.0f} %" for name in worst))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
