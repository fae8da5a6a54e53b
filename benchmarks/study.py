"""Time of a study of a thousand cells, and what a second worker brings.

    python -m benchmarks.study [--cells 1000]

Ten craniocaudal margins × ten amplitudes × ten action levels on one 7 cm case, 1,000 patients × 12 fractions × 40
times, geometric criteria. With --cells 100 two amplitudes and five levels are left.
"""

import argparse
import tempfile
import time
from pathlib import Path

import ptvkit as pk

STUDY = """
[cases]
masks = "phantom:gtv"
[targets]
ptv = 10
lesion = "largest"
[[errors]]
name = "set-up"
systematic_mm = [2, 2, 3]
random_mm = [2, 2, 3]
[[errors]]
name = "delineation"
systematic_mm = 2
seen_by = "nothing"
[guidance]
action_level_mm = 2
matching_sd_mm = [1.0, 1.6, 1.4]
[breathing]
amplitude_mm = [1.3, 3.8, 11.9]
inhale = [1, 1, -1]
reference = "snapshot"
[simulation]
fractions = 12
patients = 1000
samples = 40
seed = 1
[sweep.parameters]
"targets.breathing.SI" = [3, 6, 9, 12, 15, 18, 21, 24, 27, 30]
"""
AMPLITUDES = [3, 6, 9, 12, 15, 18, 21, 24, 27, 30]
LEVELS = [0, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, choices=(100, 1000), default=1000)
    cells = parser.parse_args().cells
    amplitudes, levels = (AMPLITUDES, LEVELS) if cells == 1000 else (AMPLITUDES[2::6], LEVELS[::2])
    text = STUDY + f'"breathing.amplitude_mm.SI" = {amplitudes}\n"guidance.action_level_mm" = {levels}\n'
    seconds = {}
    tables = set()
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "study.toml"
        study.write_text(text, encoding="utf-8")
        for name, workers in (("here, all cores", None), ("1 worker", 1), ("2 workers", 2)):
            start = time.perf_counter()
            outcome = pk.run_study(study, Path(folder) / name, workers=workers)
            seconds[name] = time.perf_counter() - start
            assert outcome.results is not None
            tables.add(outcome.results.read_bytes())
    print(f"| {cells} cells | s |\n|---|---|")
    for name, found in seconds.items():
        print(f"| {name} | {found:.0f} |")
    print(
        f"\nTwo workers: {seconds['1 worker'] / seconds['2 workers']:.2f} times one. The tables are the same bytes:",
        end=" ",
    )
    print("yes" if len(tables) == 1 else "no")


if __name__ == "__main__":
    main()
