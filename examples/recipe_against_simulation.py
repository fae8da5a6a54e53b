"""What van Herk's margin is worth for a small lesion and few fractions.

    python examples/recipe_against_simulation.py

The recipe promises that 90 % of the patients get 95 % of the dose everywhere in the CTV.
"""

import ptvkit as pk

errors = {"systematic_mm": (1.5, 1.5, 2.0), "random_mm": (2.0, 2.0, 3.0)}
margin = pk.recipes.van_herk(**errors)
print("van Herk's margin, mm (LR, AP, SI):", margin.round(1))

for name in ("lesion_3", "lesion_1"):
    for fractions in (3, 30):
        lesion = pk.phantom.region(name)
        check = pk.check_recipe("van Herk", margin, lesion, **errors, fractions=fractions, patients=500, seed=1)
        print(f"  {check.sentence()}")
