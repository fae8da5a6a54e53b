"""The command line: `ptvkit COMMAND`."""

import sys
from importlib.metadata import version
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
from ptvkit.errors import PtvkitError

app = typer.Typer(
    name="ptvkit",
    help="Radiotherapy targets with margins that are right in millimetres, and what motion costs them."
    " A research tool, not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.command()(targets)
app.command()(simulate)
app.command("new-study")(new_study)
app.command()(run)
app.command()(merge)
app.command()(dose)
app.command()(recipe)
app.command()(solve)
app.command()(convert)
app.command()(trace)
app.command("setup-stats")(setup_stats)
app.command()(check)
app.command("self-test")(self_test)

UsageError: Any = typer.BadParameter.__base__
"""What the parser raises for unknown options and missing values; its class has no public name."""
REFUSED = 2
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
    try:
        status = typer.main.get_command(app).main(arguments, prog_name="ptvkit", standalone_mode=False)
    except PtvkitError as error:
        return _refuse(str(error))
    except UsageError as error:
        return _refuse(error.format_message())
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    if status == INTERRUPTED:  # the parser turns Ctrl-C into this status, without a word
        print("ptvkit: stopped; nothing was left half-written", file=sys.stderr)
    return status if isinstance(status, int) else 0


def _refuse(message: str) -> int:
    print("ptvkit: " + " ".join(message.split()), file=sys.stderr)
    return REFUSED
