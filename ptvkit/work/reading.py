"""Which keys of a request are read by what carries it out; what is passed over is refused or said."""

from collections.abc import Iterable

from ptvkit.errors import FileError
from ptvkit.request.cases import Case
from ptvkit.request.keys import set_keys
from ptvkit.request.request import Consumer, Request


def read_by(request: Request, consumer: Consumer, passed_over: Iterable[str] = ()) -> tuple[str, ...]:
    """Refuse keys that a consumer cannot use.

    Parameters
    ----------
    request : Request
    consumer : Consumer
    passed_over : iterable of str
        Keys that a file shared with other consumers may have: they are said, and refused only where they were put over
        the file's.

    Returns
    -------
    tuple of str
        Remarks on what is not read.

    Raises
    ------
    FileError
    """
    others = Consumer(name=consumer.name, reads=tuple(passed_over))
    notes = request.require_read(Consumer(name=consumer.name, reads=(*consumer.reads, *others.reads)))
    idle = [key for key in set_keys(request.content) if others.reads_key(key) and not consumer.reads_key(key)]
    for key in request.overrides:
        if any(key == one or key.startswith(f"{one}.") for one in idle):
            raise FileError(f"{request.label(key)}: {consumer.name} does not read it; leave it out")
    return (*notes, f"{request.source}: {consumer.name} does not read {', '.join(idle)}") if idle else notes


def check_case_keys(request: Request, cases: Iterable[Case], consumer: Consumer) -> None:
    """Refuse values of cases, as a manifest has them, that a consumer does not read.

    Raises
    ------
    FileError
    """
    for case in cases:
        for key in case.values:
            if not consumer.reads_key(key):
                raise FileError(
                    f"{request.source}: case {case.name}: {consumer.name} does not read {key}; leave it out"
                )
