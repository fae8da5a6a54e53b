"""The program ``ptvkit``, also as ``python -m ptvkit``."""

import os
import sys
from typing import Final, NoReturn

STOPPED: Final = (130, 143)


def program() -> NoReturn:
    """Run the command line and end the process with its status; stopped by a signal, it waits for no thread."""
    try:
        from ptvkit.cli import main

        status = main()
    except KeyboardInterrupt:  # before the command line was there to handle it
        sys.stderr.write("ptvkit: stopped; nothing was left half-written\n")
        status = STOPPED[0]
    if status in STOPPED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    program()
