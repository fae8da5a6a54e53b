"""Self-test: whether this installation reproduces reference results on this machine."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Final

from ptvkit.io.provenance import versions
from ptvkit.trust.commissioning import Figure, run_commissioning
from ptvkit.trust.formats import FORMATS, Journey, RoundTrip, run_formats

SCHEMA: Final = "ptvkit-self-test/1"
NOTE: Final = (
    "A research tool, not a medical device. This shows that an installation reproduces known figures; it does not"
    " replace a clinic's own commissioning, and a physicist reviews every target."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """Result of a self-test.

    Attributes
    ----------
    journeys : tuple of Journey
        Round trips of the asymmetric body, by format.
    figures : tuple of Figure
        Commissioning table.
    seconds : float
    created : datetime
    machine : str
    versions : mapping
    """

    journeys: tuple[Journey, ...]
    figures: tuple[Figure, ...]
    seconds: float
    created: datetime
    machine: str
    versions: Mapping[str, str]

    @property
    def failures(self) -> tuple[str, ...]:
        """Failures, one line each; empty when all passed."""
        formats = [f"{one.name}: {one.reason}" for one in self.journeys if one.state == "failed"]
        figures = [
            f"{one.case}, {one.quantity}: {one.found:.4g}, expected {one.expected:.4g} ± {one.tolerance:.2g} {one.unit}"
            for one in self.figures
            if not one.passed
        ]
        return tuple(line.rstrip() for line in (*formats, *figures))

    @property
    def passed(self) -> bool:
        """Whether nothing failed; formats that are not installed are ignored."""
        return not self.failures


def run_self_test(formats: Mapping[str, RoundTrip] = FORMATS) -> SelfTest:
    """Run both parts; takes some seconds."""
    started = perf_counter()
    journeys, figures = run_formats(formats), run_commissioning()
    return SelfTest(
        journeys=journeys,
        figures=figures,
        seconds=perf_counter() - started,
        created=datetime.now(UTC),
        machine=f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} processors",
        versions=versions(),
    )


def as_json(result: SelfTest) -> dict[str, Any]:
    """Self-test as JSON values."""
    return {
        "schema": SCHEMA,
        "note": NOTE,
        "passed": result.passed,
        "failures": list(result.failures),
        "formats": [
            {
                "name": one.name,
                "state": one.state,
                "grids": one.tried,
                "went": dict(one.went),
                "off_mm": one.off_mm,
                "tolerance_mm": one.tolerance_mm,
                "reason": one.reason,
            }
            for one in result.journeys
        ],
        "commissioning": [
            {
                "case": one.case,
                "quantity": one.quantity,
                "unit": one.unit,
                "expected": one.expected,
                "found": one.found if one.found == one.found else None,
                "tolerance": one.tolerance,
                "passed": one.passed,
                "source": one.source,
                "tolerance_because": one.because,
            }
            for one in result.figures
        ],
        "seconds": round(result.seconds, 2),
        "created": result.created.isoformat(timespec="seconds"),
        "machine": result.machine,
        "versions": dict(result.versions),
    }
