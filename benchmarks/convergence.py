"""How figures settle: containment, dose and the solved margin against times, patients, grid and seeds.

    python -m benchmarks.convergence

A lesion of the phantom with 16 mm and 8 mm more craniocaudally (dose: 12 mm), under the guidance and the breathing of
`benchmarks.motion`, 12 fractions.
"""

from collections.abc import Iterator, Sequence

import ptvkit as pk
from benchmarks.motion import protocol

STANDARD = {"samples": 20, "patients": 250, "grid": 1.5, "seed": 1}
ROWS: dict[str, Sequence[float]] = {
    "samples": (20, 100, 400, 1600, 6400),
    "patients": (125, 250, 500, 1000),
    "grid": (1.0, 1.5, 2.0, 3.0),
    "seed": (1, 2, 3),
}
MOST_TIMES = 25_000
"""Patients times samples beyond which dose is left out."""
WIDER = pk.Margin.uniform(16) + pk.Margin(superior=8, inferior=8)


def contained(samples: int, patients: int, grid: float, seed: int) -> float:
    ctv = pk.phantom.region("lesion_1", grid)
    found = pk.simulate_coverage(ctv, pk.expand(ctv, WIDER), protocol(), patients=patients, seed=seed, samples=samples)
    return float(found.contained())


def dmin_share(samples: int, patients: int, grid: float, seed: int) -> float:
    ctv = pk.phantom.region("lesion_1", grid)
    dose = pk.conformal_dose(pk.expand(ctv, pk.Margin.uniform(12)), 22.8)
    found = pk.simulate_dose(dose, ctv, protocol(), patients=patients, seed=seed, samples=samples)
    return float(found.probability("dmin>=0.95"))


def solved(samples: int, patients: int, grid: float, seed: int) -> float:
    ctv = pk.phantom.region("lesion_1", grid)
    return pk.solve_margin(ctv, protocol(), patients=patients, seed=seed, samples=samples).margin.superior


def rows() -> Iterator[str]:
    for name, values in ROWS.items():
        for value in values:
            case = {**STANDARD, name: value}
            samples, patients, seed = (int(case[key]) for key in ("samples", "patients", "seed"))
            at = (samples, patients, float(case["grid"]), seed)
            dose = f"{dmin_share(*at):.3f}" if samples * patients <= MOST_TIMES else "–"
            yield f"| {name} {value:g} | {contained(*at):.3f} | {dose} | {solved(*at):.2f} |"


def main() -> None:
    print("| varied | contained | Dmin ≥ 95 % at 12 mm | solved margin, mm |\n|---|---|---|---|")
    for row in rows():
        print(row, flush=True)


if __name__ == "__main__":
    main()
