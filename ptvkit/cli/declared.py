"""Options as data: flags, the key of the request that each one overrides, how its text becomes a value, its panel."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import typer

from ptvkit.errors import FileError, PtvkitError

if TYPE_CHECKING:
    from ptvkit.request.request import Request

EACH: Final = "{}"
"""In a key: the part that each value names itself, such as the number of a lesion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option, or an argument, of a command.

    Attributes
    ----------
    flags : tuple of str
        As typed; empty for an argument. ``--pictures/--no-pictures`` switches both ways.
    name : str
        What the command calls it.
    help : str
    key : str or None
        Dotted key of the request that it overrides; `EACH` in it is filled by `value`, which then returns a pair.
    kind : type
        str, int, float or bool, read by the parser.
    value : callable or None
        From what was typed to the value.
    many : bool
        May be repeated.
    is_required, is_hidden : bool
    default : object
        Of an option without a key.
    metavar, panel : str or None
    """

    flags: tuple[str, ...]
    name: str
    help: str
    key: str | None = None
    kind: type = str
    value: Callable[[Any], Any] | None = None
    many: bool = False
    is_required: bool = False
    is_hidden: bool = False
    default: Any = None
    metavar: str | None = None
    panel: str | None = None

    @property
    def annotation(self) -> Any:
        """The type that the parser reads."""
        if self.many:
            return list[self.kind] | None  # type: ignore[name-defined]
        return self.kind if self.is_required else self.kind | None

    @property
    def parameter(self) -> inspect.Parameter:
        """As a parameter that the parser understands."""
        info: dict[str, Any] = {"help": self.help, "metavar": self.metavar, "hidden": self.is_hidden}
        info |= {"rich_help_panel": self.panel, "show_default": self.default is not None}
        default = ... if self.is_required else self.default
        made = typer.Option(default, *self.flags, **info) if self.flags else typer.Argument(default, **info)
        return inspect.Parameter(self.name, inspect.Parameter.KEYWORD_ONLY, default=made, annotation=self.annotation)

    def label(self, typed: Any) -> str:
        """What messages call it: the flag and what was typed."""
        flag = self.flags[0].split("/")[0] if self.flags else self.name.upper()
        return flag if self.kind is bool else f"{flag} {typed}"


def option(flags: str, help: str, key: str | None = None, **more: Any) -> Option:
    """An option; its name is the first long flag's."""
    words = tuple(flags.split())
    name = more.pop("name", None) or words[0].split("/")[0].lstrip("-").replace("-", "_")
    return Option(flags=words, name=name, help=help, key=key, **more)


def argument(name: str, help: str, key: str | None = None, **more: Any) -> Option:
    """An argument of a command."""
    return Option(flags=(), name=name, help=help, key=key, metavar=more.pop("metavar", name.upper()), **more)


def alias(of: Option, flags: str, **more: Any) -> Option:
    """Another, hidden, spelling of an option that older scripts use."""
    given = {name: getattr(of, name) for name in ("help", "key", "kind", "value", "many", "metavar")}
    return option(flags, **(given | {"is_hidden": True} | more))


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What was typed, read.

    Attributes
    ----------
    overrides : mapping
        Values by dotted key of the request.
    labels : mapping
        The options that say so, by the same keys.
    plain : mapping
        Values of options that are no part of a request, by name.
    """

    overrides: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    plain: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.plain[name]

    @property
    def json(self) -> bool:
        """Whether JSON is wanted in place of words."""
        return bool(self.plain.get("json"))

    def request(self, study: str | None = None, more: Mapping[str, Any] | None = None) -> "Request":
        """The request: a study file or nothing, with the options over it.

        Raises
        ------
        FileError, MotionError
        """
        from ptvkit.request.request import Request

        return Request.load(study, {**self.overrides, **(more or {})}, labels=self.labels)


def read_words(options: tuple[Option, ...], typed: Mapping[str, Any]) -> Words:
    """Values of what was typed.

    Raises
    ------
    PtvkitError
        When a text does not become a value, or two options set one key.
    """
    overrides: dict[str, Any] = {}
    labels: dict[str, str] = {}
    plain: dict[str, Any] = {}
    for one in options:
        given = typed[one.name]
        if one.key is None:
            plain[one.name] = given if given is None or one.value is None else _value(one, given)
            continue
        for key, value, label in _settings(one, given):
            if key in overrides:
                raise FileError(f"{labels[key]} and {label}: both set {key}; give one of them")
            overrides[key], labels[key] = value, label
    return Words(overrides=overrides, labels=labels, plain=plain)


def _settings(one: Option, given: Any) -> list[tuple[str, Any, str]]:
    """Keys, values and labels that an option sets."""
    if given is None or (one.many and not given):
        return []
    assert one.key is not None
    if EACH in one.key:
        pairs = [(*_read(one, text), one.label(text)) for text in given]
        return [(one.key.replace(EACH, str(part)), value, label) for part, value, label in pairs]
    return [(one.key, _value(one, given), one.label(" ".join(given) if one.many else given))]


def _value(one: Option, given: Any) -> Any:
    return [_read(one, text) for text in given] if one.many else _read(one, given)


def _read(one: Option, text: Any) -> Any:
    """A value; what is wrong with it is said with the option's name."""
    if one.value is None:
        return text
    try:
        return one.value(text)
    except PtvkitError as error:
        raise type(error)(f"{one.label(text)}: {error}") from None


def command(run: Callable[[Words], None], options: tuple[Option, ...]) -> Callable[..., None]:
    """A function with the signature of these options, for the parser."""

    def typed(**given: Any) -> None:
        run(read_words(options, given))

    parameters = [one.parameter for one in options]
    typed.__doc__, typed.__name__ = run.__doc__, run.__name__
    typed.__annotations__ = {one.name: one.annotation for one in parameters}
    typed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return typed
