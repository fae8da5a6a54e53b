"""What all pages share: the template engine, embedded data, scripts and style."""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from ptvkit.report.colours import page_colours


def rendered(template: str, values: Mapping[str, Any]) -> str:
    """A page from a template of this package; what it holds is escaped, so that names are text."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(_text(template)).render(css=style(), **values)
    return page.encode("utf-8", "backslashreplace").decode()  # a file's name may hold bytes that are no text


def style() -> Markup:
    """The style of all pages, with the colours of structures and the viewer's."""
    return Markup(page_colours() + _text("page.css") + _text("planes.css"))


def script(name: str) -> Markup:
    """A script that does not end the element that it stands in."""
    return Markup(_text(name).replace("</script", "<\\/script"))


def embedded(data: Any) -> Markup:
    """JSON that ends no script, whatever a case is called."""
    return Markup(json.dumps(data, allow_nan=False).replace("<", "\\u003c").replace("&", "\\u0026"))


def _text(name: str) -> str:
    return files("ptvkit.report").joinpath("page", name).read_text(encoding="utf-8")
