"""Simulate a treatment of two parts, and see in which share of courses target and organ keep their limits.

    python examples/treatment_of_two_parts.py

18 fractions of 1.7 Gy to a wide volume, then, on a new CT, a boost of 12 fractions of 1.9 Gy. The delineation is one
physician's and the same in both parts; the set-up errors are drawn anew. Doses are weighted in each fraction.
"""

import ptvkit as pk

PATIENTS = 200  # or 1000


def main() -> None:
    """Simulate the treatment and hold limits against its sum."""
    ctv, stomach = pk.phantom.region("lesion_3"), pk.phantom.region("stomach")
    errors = [
        pk.SetupError(name="set-up", systematic_mm=2, random_mm=(2, 2, 3)),
        pk.SetupError(name="delineation", systematic_mm=2, seen_by="nothing"),
    ]
    parts = [
        pk.Part(
            name=name,
            ptv=pk.expand(ctv, margin),
            fraction_gy=gy,
            course=pk.Course(setup=errors, fractions=fractions),
        )
        for name, margin, fractions, gy in (("wide", 20, 18, 1.7), ("boost", 7, 12, 1.9))
    ]
    results = pk.simulate_treatment(
        parts,
        {"CTV": ctv, "stomach": stomach},
        alpha_beta_gy={"CTV": 10, "stomach": 3},
        shared=("delineation",),
        metrics=["D2cc", "geud8"],
        patients=PATIENTS,
        seed=1,
    )
    print(results["CTV"].summary())
    limits = [
        pk.DoseLimit(structure="stomach", metric="Dmax", at_most=50),
        pk.DoseLimit(structure="stomach", metric="D2cc", at_most=20),
        pk.DoseLimit(structure="CTV", metric="D98%", at_least=50, quantity="eqd2"),
    ]
    for one in pk.limits_kept(results, limits):
        print(one.words)


main()
