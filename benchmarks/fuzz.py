"""Damaged files by the thousand: `python -m benchmarks.fuzz --cases 10000`."""

import argparse
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz.running import run_cases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as room, ThreadPoolExecutor(given.workers) as pool:
        shares = [range(given.first + n, given.first + given.cases, given.workers) for n in range(given.workers)]
        reports = list(pool.map(lambda numbers: run_cases(numbers, Path(room)), shares))
    outcomes = sum((report.outcomes for report in reports), start=type(reports[0].outcomes)())
    print("| files | read | refused |\n|---|---|---|")
    for family in sorted({family for family, _ in outcomes}):
        print(f"| {family} | {outcomes[family, 'read']} | {outcomes[family, 'refused']} |")
    slowest, most = max(one.slowest_s for one in reports), max(one.most_mb for one in reports)
    print(f"\nSlowest {slowest:.1f} s, most memory of a process {most:.0f} MB.")
    findings = [finding for report in reports for finding in report.findings]
    print(f"{len(findings)} findings", *findings, sep="\n")


if __name__ == "__main__":
    main()
