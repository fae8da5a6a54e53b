"""The page itself: one file with its script and style."""

from importlib.resources import files

import jinja2
from markupsafe import Markup

from ptvkit.explore.desk import Desk
from ptvkit.motion.result import NOTE
from ptvkit.report.pages import embedded, style


def page_of(desk: Desk, token: str, nonce: str) -> str:
    """The page with what it begins with.

    Parameters
    ----------
    desk : Desk
    token : str
        That its requests carry.
    nonce : str
        Of its script and style; no other may run.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    data = {
        "token": token,
        "planes": desk.planes(),
        "colours": desk.colours(),
        "image": desk.has_image,
        **desk.content(),
    }
    return environment.from_string(_text("explore.html.j2")).render(
        css=style() + Markup(_text("explore.css")),
        data=embedded(data | desk.content()),
        script=Markup(_text("explore.js")),
        nonce=nonce,
        note=NOTE,
    )


def _text(name: str) -> str:
    return files("ptvkit.explore").joinpath("page", name).read_text(encoding="utf-8")
