"""The command line: `ptvkit COMMAND`."""

import sys
from typing import Any

import typer

from ptvkit.cli import (
    check,
    compare,
    convert,
    demo,
    dose,
    explore,
    lesions,
    measure,
    recipe,
    run,
    self_test,
    simulate,
    solve,
    targets,
)
from ptvkit.cli.declared import command
from ptvkit.cli.printing import print_json, remark
from ptvkit.cli.stopping import INTERRUPTED, REFUSED, TERMINATED, Terminated, end_workers, terminable
from ptvkit.errors import PtvkitError

app = typer.Typer(
    name="ptvkit",
    help="Radiotherapy targets with margins that are right in millimetres, and what motion costs them."
    " A research tool, not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for module in (
    demo,
    targets,
    simulate,
    solve,
    compare,
    explore,
    run,
    dose,
    recipe,
    lesions,
    measure,
    convert,
    check,
    self_test,
):
    for name, function, options in module.COMMANDS:
        app.command(name)(command(function, options))
for name, function, options in (*run.OLD_COMMANDS, *measure.OLD_COMMANDS):
    app.command(name, hidden=True)(command(function, options))

UsageError: Any = typer.BadParameter.__base__
"""What the parser raises for unknown options and missing values; its class has no public name."""


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

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
    """Run a command and return its exit status.

    0: done; 2: the input was refused, in one line on stderr; 3: finished, some cases failed; 130, 143: stopped by a
    signal. A bug keeps its traceback, and gives 1. With ``--json`` an error is also an object on stdout.
    """
    words = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in words
    if any(not word.strip() or (word.startswith("--") and word.endswith("=")) for word in words):
        return _refuse("an argument or an option's value is empty; give it a value, or leave it out", as_json)
    try:
        with terminable():
            status = typer.main.get_command(app).main(words, prog_name="ptvkit", standalone_mode=False)
    except PtvkitError as error:
        return _refuse(str(error), as_json)
    except UsageError as error:
        return _refuse(error.format_message(), as_json)
    except MemoryError as error:
        size = error or "no size known"
        return _refuse(f"memory ran out ({size}); use coarser voxels, fewer workers, or a larger machine", as_json)
    except Terminated:
        status = TERMINATED
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except Exception as error:
        if as_json:
            print_json({"error": f"a bug in ptvkit: {type(error).__name__}: {error}"})
        raise
    if status in (INTERRUPTED, TERMINATED):  # the parser turns Ctrl-C into this status, without a word
        end_workers()
        return _refuse("stopped; nothing was left half-written", as_json, status)
    return status if isinstance(status, int) else 0


def _refuse(message: str, as_json: bool, status: int = REFUSED) -> int:
    remark(message)
    if as_json:
        print_json({"error": " ".join(message.split())})
    return status
