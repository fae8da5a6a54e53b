"""The command line: `ptvkit COMMAND`."""

import sys
from collections.abc import Callable
from functools import wraps
from importlib.metadata import version
from math import isfinite
from typing import Any

import typer

from ptvkit.cli.check import check
from ptvkit.cli.convert import convert
from ptvkit.cli.demo import demo
from ptvkit.cli.dose import dose
from ptvkit.cli.recipe import recipe
from ptvkit.cli.run import merge, new_study, run
from ptvkit.cli.self_test import self_test
from ptvkit.cli.setup_stats import setup_stats
from ptvkit.cli.simulate import simulate
from ptvkit.cli.solve import solve
from ptvkit.cli.targets import targets
from ptvkit.cli.trace import trace
from ptvkit.errors import FileError, PtvkitError
from ptvkit.text import printable


def with_finite_numbers(command: Callable[..., None]) -> Callable[..., None]:
    """A command that refuses NaN and infinity as an option's value."""

    @wraps(command)
    def checked(**values: Any) -> None:
        for name, value in values.items():
            if isinstance(value, float) and not isfinite(value):
                raise FileError(f"--{name.replace('_', '-')} {value}: give a finite number")
        command(**values)

    return checked


app = typer.Typer(
    name="ptvkit",
    help="Radiotherapy targets with margins that are right in millimetres, and what motion costs them."
    " A research tool, not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(with_finite_numbers(demo))
app.command()(with_finite_numbers(targets))
app.command()(with_finite_numbers(simulate))
app.command("new-study")(with_finite_numbers(new_study))
app.command()(with_finite_numbers(run))
app.command()(with_finite_numbers(merge))
app.command()(with_finite_numbers(dose))
app.command()(with_finite_numbers(recipe))
app.command()(with_finite_numbers(solve))
app.command()(with_finite_numbers(convert))
app.command()(with_finite_numbers(trace))
app.command("setup-stats")(with_finite_numbers(setup_stats))
app.command()(with_finite_numbers(check))
app.command("self-test")(with_finite_numbers(self_test))

UsageError: Any = typer.BadParameter.__base__
"""What the parser raises for unknown options and missing values; its class has no public name."""
REFUSED = 2
LONGEST_MESSAGE = 2000
INTERRUPTED = 130


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"ptvkit {version('ptvkit')}")
        raise typer.Exit


@app.callback()
def _options(
    show: bool = typer.Option(
        False, "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
    ),
) -> None:
    """What every command takes."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command; what the user can mend is one line on stderr and status 2, a bug keeps its traceback."""
    words = sys.argv[1:] if arguments is None else arguments
    if any(not word.strip() or (word.startswith("--") and word.endswith("=")) for word in words):
        return _refuse("an argument or an option's value is empty; give it a value, or leave it out")
    try:
        status = typer.main.get_command(app).main(words, prog_name="ptvkit", standalone_mode=False)
    except PtvkitError as error:
        return _refuse(str(error))
    except UsageError as error:
        return _refuse(error.format_message())
    except MemoryError as error:
        return _refuse(f"memory ran out ({error or 'no size known'}); use coarser voxels, or a larger machine")
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    if status == INTERRUPTED:  # the parser turns Ctrl-C into this status, without a word
        print("ptvkit: stopped; nothing was left half-written", file=sys.stderr)
    return status if isinstance(status, int) else 0


def _refuse(message: str) -> int:
    print("ptvkit: " + printable(" ".join(message.split()), LONGEST_MESSAGE), file=sys.stderr)
    return REFUSED
