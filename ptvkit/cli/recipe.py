"""`ptvkit recipe`: published margin recipes, and what one is worth on a target."""

import inspect
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ptvkit.cli.course_options import triple
from ptvkit.cli.options import print_rows, progress_bar, structure, told_warnings
from ptvkit.errors import DoseError

if TYPE_CHECKING:
    from ptvkit.recipes import Recipe

TRIPLE = "mm; one number, or LR,AP,SI"
CHECKED = ("population", "level")


def recipe(
    name: Annotated[str | None, typer.Argument(help="Which one; without a name all are listed.")] = None,
    systematic: Annotated[str | None, typer.Option(help=f"Σ, {TRIPLE}.")] = None,
    random: Annotated[str | None, typer.Option(help=f"σ, {TRIPLE}.")] = None,
    error: Annotated[
        list[str] | None,
        typer.Option(help="Instead: a component NAME:Σ/σ; may be repeated, their squares add.", metavar="ERROR"),
    ] = None,
    penumbra: Annotated[str | None, typer.Option(help=f"σp, {TRIPLE}; 3.2 in water.")] = None,
    blurred: Annotated[str | None, typer.Option(help=f"√(σ² + σp²), for mckenzie, {TRIPLE}.")] = None,
    amplitude: Annotated[
        str | None, typer.Option(help=f"Breathing, peak to peak, for mid-ventilation, {TRIPLE}.")
    ] = None,
    fractions: Annotated[int | None, typer.Option(help="For finite-fractions, and for --check (30).")] = None,
    distance: Annotated[float | None, typer.Option(help="From the isocentre, mm, for rotation.")] = None,
    systematic_deg: Annotated[float | None, typer.Option(help="Σ of rotations, for rotation.")] = None,
    random_deg: Annotated[float | None, typer.Option(help="σ of rotations, for rotation.")] = None,
    population: Annotated[float | None, typer.Option(help="Share of patients, for some recipes (0.90).")] = None,
    level: Annotated[float | None, typer.Option(help="Isodose level, likewise (0.95).")] = None,
    dimensions: Annotated[int | None, typer.Option(help="1, 2 or 3, likewise.")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Without the published rounding to 2.5, 1.64.")] = False,
    check: Annotated[str | None, typer.Option(help="Simulate the margin on this CTV.", metavar="CTV[:LABEL]")] = None,
    patients: Annotated[int, typer.Option(help="For --check.")] = 2000,
    seed: Annotated[int, typer.Option(help="For --check.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of words.")] = False,
) -> None:
    """A margin by a published recipe, with its criterion and source; --check simulates it on a target."""
    from ptvkit.recipes import RECIPES

    if name is None:
        list_recipes(RECIPES.values())
        return
    if name not in RECIPES:
        raise DoseError(f"recipe {name!r}: there is none of that name; use one of {', '.join(RECIPES)}")
    given: dict[str, Any] = {
        "systematic_mm": triple("--systematic", systematic),
        "random_mm": triple("--random", random),
        "penumbra_mm": triple("--penumbra", penumbra),
        "blurred_mm": triple("--blurred", blurred),
        "amplitude_mm": triple("--amplitude", amplitude),
        "fractions": fractions,
        "distance_mm": distance,
        "systematic_deg": systematic_deg,
        "random_deg": random_deg,
        "population": population,
        "level": level,
        "dimensions": dimensions,
        "exact": exact or None,
    }
    given = {key: value for key, value in given.items() if value is not None}
    budget = components(error, given)
    chosen = RECIPES[name]
    margin = chosen.function(**suited(chosen, given, also={"fractions"} if check else set()))
    content = {
        "recipe": name,
        "margin_mm": margin if isinstance(margin, float) else margin.tolist(),
        "formula": chosen.formula,
        "criterion": chosen.criterion,
        "source": chosen.source,
        "status": chosen.status,
        "given": given,
    }
    told = checked(content, margin, check, given, patients, seed) if check else None
    if json:
        import json as text

        sys.stdout.write(text.dumps(content, indent=1) + "\n")
        return
    if budget:
        print_rows(budget, "Errors", "SD in mm: LR, AP, SI; squares add")
    shown = f"{margin:.2f}" if isinstance(margin, float) else ", ".join(f"{mm:.2f}" for mm in margin) + " (LR, AP, SI)"
    print(f"{name}: {shown} mm")
    print(f"  {chosen.formula}\n  criterion: {chosen.criterion}\n  source: {chosen.source} ({chosen.status})")
    if told:
        print(told)


def list_recipes(recipes: Any) -> None:
    """All of them, a line each."""
    rows = [("recipe", "formula", "status", "source")]
    rows += [(one.name, one.formula, one.status, one.source) for one in recipes]
    print_rows(
        rows,
        "Margin recipes",
        "published: seen in the source; quoted: by a secondary one; derived: computed here",
    )


def components(errors: list[str] | None, given: dict[str, Any]) -> list[tuple[str, ...]]:
    """Named components as Σ and σ together, put among what is given; a table of them."""
    from ptvkit.cli.course_options import parsed_error
    from ptvkit.recipes import combined

    if not errors:
        return []
    if twice := {"systematic_mm", "random_mm"} & given.keys():
        raise DoseError(f"--error and --{min(twice).removesuffix('_mm')}: give one or the other")
    parsed = [parsed_error(text) for text in errors]
    total = combined({one["name"]: (one["systematic_mm"], one["random_mm"]) for one in parsed})
    given |= {"systematic_mm": total.systematic_mm.tolist(), "random_mm": total.random_mm.tolist()}
    rows: list[tuple[str, ...]] = [("", "Σ", "σ")]
    shown = [(one["name"], one["systematic_mm"], one["random_mm"]) for one in parsed]
    for name, *sds in [*shown, ("together", *total)]:
        rows.append((name, *(as_text(sd) for sd in sds)))
    return rows


def as_text(sd: Any) -> str:
    """One length or three."""
    return f"{sd:g}" if isinstance(sd, float) else ", ".join(f"{mm:.2f}" for mm in sd)


def suited(chosen: "Recipe", given: dict[str, Any], *, also: set[str]) -> dict[str, Any]:
    """The options that a recipe takes; refused when one is missing, or has no meaning for it."""
    known = inspect.signature(chosen.function).parameters
    for key, parameter in known.items():
        if parameter.default is inspect.Parameter.empty and key not in given:
            raise DoseError(f"{chosen.name} needs --{key.removesuffix('_mm').replace('_', '-')}")
    idle = sorted(given.keys() - known.keys() - also)
    if idle:
        raise DoseError(
            f"--{idle[0].removesuffix('_mm').replace('_', '-')} has no meaning for {chosen.name}; remove it"
        )
    return {key: value for key, value in given.items() if key in known}


def checked(content: dict[str, Any], margin: Any, ctv: str, given: dict[str, Any], patients: int, seed: int) -> str:
    """Simulate the margin on a target; the answer is added to the content."""
    from ptvkit.analysis.recipe_check import check_recipe

    if not {"systematic_mm", "random_mm"} <= given.keys():
        raise DoseError("--check needs --systematic and --random, what displaces the target")
    errors = {key: given[key] for key in ("systematic_mm", "random_mm", "penumbra_mm", "fractions") if key in given}
    with told_warnings() as warned, progress_bar("patients") as tell:
        promise = {key: given[key] for key in CHECKED if key in given}
        found = check_recipe(
            content["recipe"],
            margin,
            structure(ctv).read(),
            **errors,
            **promise,
            patients=patients,
            seed=seed,
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
