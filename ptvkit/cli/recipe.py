"""`ptvkit recipe`: published margin recipes, and what one is worth on a target."""

import inspect
from typing import TYPE_CHECKING, Any, Final

from ptvkit.cli import groups
from ptvkit.cli.declared import Option, Words, argument, option
from ptvkit.cli.printing import print_json, print_rows, say, shown_warnings
from ptvkit.cli.progress import progress_of
from ptvkit.cli.texts import setup_error, triple
from ptvkit.errors import DoseError

if TYPE_CHECKING:
    from ptvkit.recipes import Recipe

TRIPLE: Final = "mm; one number, or LR,AP,SI"
CHECKED: Final = ("population", "level")
SOME: Final = "For some recipes"
OF_FORMULAS: Final[tuple[Option, ...]] = (
    option("--systematic", f"Σ, {TRIPLE}.", name="systematic_mm", value=triple),
    option("--random", f"σ, {TRIPLE}.", name="random_mm", value=triple),
    option("--penumbra", f"σp, {TRIPLE}; 3.2 in water.", name="penumbra_mm", value=triple),
    option("--fractions", "For finite-fractions, and for --check (30).", kind=int),
    option("--population", "Share of patients, for some recipes (0.90).", kind=float),
    option("--level", "Isodose level, likewise (0.95).", kind=float),
    option(
        "--blurred",
        f"√(σ² + σp²), for mckenzie, {TRIPLE}.",
        name="blurred_mm",
        value=triple,
        panel=SOME,
    ),
    option(
        "--amplitude",
        f"Breathing, peak to peak, for mid-ventilation, {TRIPLE}.",
        name="amplitude_mm",
        value=triple,
        panel=SOME,
    ),
    option("--sd-share", "SD of breathing as a share of its amplitude, for mid-ventilation.", kind=float, panel=SOME),
    option("--distance", "From the isocentre, mm, for rotation.", name="distance_mm", kind=float, panel=SOME),
    option("--systematic-deg", "Σ of rotations, for rotation.", kind=float, panel=SOME),
    option("--random-deg", "σ of rotations, for rotation.", kind=float, panel=SOME),
    option("--dimensions", "1, 2 or 3.", kind=int, panel=SOME),
    option("--exact", "Without the published rounding to 2.5, 1.64.", kind=bool, panel=SOME),
)
"""Named as the formulas' arguments are."""
FLAGS: Final = {one.name: one.flags[0] for one in OF_FORMULAS}
OPTIONS: Final = (
    argument("name", "Which one; without a name all are listed."),
    option(
        "--error",
        "In place of Σ and σ: a component NAME:Σ/σ; may be repeated, their squares add.",
        metavar="ERROR",
        many=True,
        value=setup_error,
    ),
    *OF_FORMULAS,
    option("--check", "Simulate the margin on this CTV.", metavar=groups.STRUCTURE),
    option("--patients", "For --check.", kind=int, default=2000, panel="Simulation"),
    option("--seed", "For --check.", kind=int, default=0, panel="Simulation"),
    groups.JSON,
)


def recipe(words: Words) -> None:
    """A margin by a published recipe, with its criterion and source; --check simulates it on a target."""
    from ptvkit.recipes import RECIPES

    name = words["name"]
    if name is None:
        list_recipes(list(RECIPES.values()), words.json)
        return
    if name not in RECIPES:
        raise DoseError(f"recipe {name!r}: there is none of that name; use one of {', '.join(RECIPES)}")
    values = {one.name: words[one.name] for one in OF_FORMULAS if words[one.name] is not None}
    budget = components(words["error"], values)
    chosen = RECIPES[name]
    margin = chosen.function(**suited(chosen, values, also={"fractions"} if words["check"] else set()))
    content = {
        "recipe": name,
        "margin_mm": margin if isinstance(margin, float) else margin.tolist(),
        "formula": chosen.formula,
        "criterion": chosen.criterion,
        "source": chosen.source,
        "status": chosen.status,
        "given": values,
    }
    sentence = checked(content, margin, values, words) if words["check"] else None
    if words.json:
        print_json(content, "recipe")
        return
    if budget:
        print_rows(budget, "Errors", "SD in mm: LR, AP, SI; squares add")
    shown = f"{margin:.2f}" if isinstance(margin, float) else ", ".join(f"{mm:.2f}" for mm in margin) + " (LR, AP, SI)"
    say(f"{name}: {shown} mm")
    say(f"  {chosen.formula}\n  criterion: {chosen.criterion}\n  source: {chosen.source} ({chosen.status})")
    if sentence:
        say(sentence)


COMMANDS: Final = (("recipe", recipe, OPTIONS),)


def list_recipes(recipes: "list[Recipe]", json: bool) -> None:
    """All of them, a line each."""
    if json:
        names = ("name", "formula", "criterion", "status", "source")
        print_json({"recipes": [{name: getattr(one, name) for name in names} for one in recipes]}, "recipes")
        return
    rows = [("recipe", "formula", "status", "source")]
    rows += [(one.name, one.formula, one.status, one.source) for one in recipes]
    print_rows(
        rows,
        "Margin recipes",
        "published: seen in the source; quoted: by a secondary one; derived: computed here",
    )


def components(errors: list[dict[str, Any]] | None, values: dict[str, Any]) -> list[tuple[str, ...]]:
    """Named components as Σ and σ together, put among the values; a table of them."""
    from ptvkit.recipes import combined

    if not errors:
        return []
    if twice := {"systematic_mm", "random_mm"} & values.keys():
        raise DoseError(f"--error and {FLAGS[min(twice)]}: give one or the other")
    total = combined({one["name"]: (one["systematic_mm"], one["random_mm"]) for one in errors})
    values |= {"systematic_mm": total.systematic_mm.tolist(), "random_mm": total.random_mm.tolist()}
    rows: list[tuple[str, ...]] = [("", "Σ", "σ")]
    shown = [(one["name"], one["systematic_mm"], one["random_mm"]) for one in errors]
    for name, *sds in [*shown, ("together", *total)]:
        rows.append((name, *(as_text(sd) for sd in sds)))
    return rows


def as_text(sd: Any) -> str:
    """One length or three."""
    return f"{sd:g}" if isinstance(sd, float) else ", ".join(f"{mm:.2f}" for mm in sd)


def suited(chosen: "Recipe", values: dict[str, Any], *, also: set[str]) -> dict[str, Any]:
    """The values that a recipe takes; refused when one is missing, or has no meaning for it."""
    known = inspect.signature(chosen.function).parameters
    for key, parameter in known.items():
        if parameter.default is inspect.Parameter.empty and key not in values:
            raise DoseError(f"{chosen.name} needs {FLAGS[key]}")
    idle = sorted(values.keys() - known.keys() - also)
    if idle:
        raise DoseError(f"{FLAGS[idle[0]]} has no meaning for {chosen.name}; remove it")
    return {key: value for key, value in values.items() if key in known}


def checked(content: dict[str, Any], margin: Any, values: dict[str, Any], words: Words) -> str:
    """Simulate the margin on a target; the answer is added to the content."""
    from ptvkit.analysis.recipe_check import check_recipe
    from ptvkit.io.naming import StructureRef

    if not {"systematic_mm", "random_mm"} <= values.keys():
        raise DoseError("--check needs --systematic and --random, what displaces the target")
    read = ("systematic_mm", "random_mm", "penumbra_mm", "fractions", *CHECKED)
    with shown_warnings() as warned, progress_of("patients", json=words.json) as tell:
        found = check_recipe(
            content["recipe"],
            margin,
            StructureRef.parse(words["check"]).read(),
            **{key: values[key] for key in read if key in values},
            patients=words["patients"],
            seed=words["seed"],
            progress=tell,
        )
    content["check"] = {
        "promised": found.promised,
        "found": {"value": found.found.value, "low": found.found.low, "high": found.found.high},
        "level": found.level,
        "fractions": found.fractions,
        "patients": found.patients,
        "diameter_mm": found.diameter_mm,
        "sentence": found.sentence(),
        "warnings": warned,
    }
    return found.sentence()
