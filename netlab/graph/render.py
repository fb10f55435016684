"""A picture in the form that is asked for; Graphviz lays out what is drawn.

`dot` gets others' text, so it runs without rights, and is told to open no file for a picture.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from netlab.errors import EnvironmentLacks
from netlab.graph.dot import dot
from netlab.graph.mermaid import mermaid
from netlab.graph.model import Picture
from netlab.kernel.filters import filtered

Form = Literal["dot", "svg", "png", "mermaid"]

_FONTS = (
    "/etc/fonts", "/usr/share/fonts", "/usr/share/fontconfig", "/usr/local/share/fonts",
    "/var/cache/fontconfig", "/etc/ld.so.conf", "/etc/alternatives",
)  # fmt: skip
# A web server's Graphviz reads no files.
_ENVIRONMENT = {"SERVER_NAME": "netlab", "GV_FILE_PATH": "/nowhere", "HOME": "/nowhere"}


def rendered(picture: Picture, form: Form) -> bytes:
    """The picture as that; `EnvironmentLacks` where there is nobody to lay it out."""
    if form == "mermaid":
        return mermaid(picture).encode()
    text = dot(picture).encode()
    return text if form == "dot" else _laid_out(text, form)


def require(form: Form) -> None:
    """Raise `EnvironmentLacks` unless pictures can be made in that form here."""
    from netlab.kernel.run import find, install_hint

    if form in ("svg", "png"):
        try:
            find("dot")
        except EnvironmentLacks as error:
            hint = f"{install_hint('dot')}; -o dot and -o mermaid need none"
            raise EnvironmentLacks(error.message, hint=hint) from None


def _laid_out(text: bytes, form: Form) -> bytes:
    require(form)
    fonts = [path for path in map(Path, _FONTS) if path.exists()]
    return filtered(["dot", f"-T{form}"], text, read=fonts, env=_ENVIRONMENT)
