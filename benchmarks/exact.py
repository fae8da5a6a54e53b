"""The exact method beside the sampled one: CPU seconds at equal standard error.

    python -m benchmarks.exact [--patients 40000]

CPU seconds of each include what prepares target and PTV. The sampled method's time for the exact one's standard error
is extrapolated: its error falls with the root of the patients, and only the part that grows with them is scaled.
"""

import argparse
import time
import warnings

import ptvkit as pk
from ptvkit.work.values import course_of


def liver() -> pk.Course:
    """The built-in clinical protocol."""
    return course_of(pk.Request.load("liver-protocol"))


def still() -> pk.Course:
    """The same without breathing."""
    whole = liver()
    return pk.Course(setup=whole.setup, guidance=whole.guidance, fractions=whole.fractions)


def unguided() -> pk.Course:
    """Set-up errors alone."""
    return pk.Course(setup=[pk.SetupError(systematic_mm=(2, 2, 3), random_mm=(2, 2, 3))], fractions=12)


def compared(name: str, ctv: pk.Region, ptv: pk.Region, course: pk.Course, patients: int) -> str:
    """A row: shares, standard errors, CPU seconds and their ratio at the exact method's error, at most 1e-4."""
    start = time.process_time()
    exact = pk.simulate_coverage(ctv, ptv, course, method="exact", seed=1)
    exact_s, value = time.process_time() - start, exact.contained()
    spent, shares = [], []
    for count in (patients // 8, patients):
        start = time.process_time()
        shares.append(pk.simulate_coverage(ctv, ptv, course, patients=count, samples=1, seed=1).contained())
        spent.append(time.process_time() - start)
    share = float(shares[1])
    each = max(spent[1] - spent[0], 1e-9) / (patients - patients // 8)
    error = max(exact.standard_error, exact.answer.changed, 1e-4)
    needed = share * (1 - share) / error**2
    sampled_s = spent[1] - each * patients + each * needed
    return (
        f"| {name} | {float(value):.4f} | {exact.standard_error:.0e} | {exact_s:.1f} | {share:.4f} ±"
        f" {(share * (1 - share) / patients) ** 0.5:.4f} | {spent[1]:.1f} | {needed:,.0f} | {sampled_s:,.0f} |"
        f" {sampled_s / exact_s:,.0f} |"
    )


def main() -> None:
    """Print a table in Markdown."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--patients", type=int, default=40_000)
    patients = arguments.parse_args().patients
    warnings.simplefilter("ignore")
    targets = pk.make_targets(pk.phantom.region("lesion_3"), ctv=10, ptv=10, breathing="S=12,I=18")
    compared("warm-up", targets.ctv, targets.ptv, liver(), 256)
    print("| course | exact | SE | CPU s | sampled | CPU s | patients for that SE | CPU s | ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, course in (("set-up errors", unguided()), ("protocol, still", still()), ("protocol", liver())):
        print(compared(name, targets.ctv, targets.ptv, course, patients))


if __name__ == "__main__":
    main()
