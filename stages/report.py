"""Show what was built, as one HTML page that needs no network."""

from pathlib import Path

from boxset.report.page import read_report_data, write_report
from boxset.stage import run

VERSION = 16
OUT = Path("data/report")


def main() -> None:
    """Read the data set and the metrics, write the page."""
    write_report(OUT, read_report_data(Path()))


if __name__ == "__main__":
    run(OUT, main)
