"""An exhibit's figure as files: drawn and laid out once."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from study import figures
from study.report.exhibit import Exhibit


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure, rendered.

    Attributes:
        png: With its caption.
        svg: With its caption.
        address: A ``data:`` address that holds it without its caption: as SVG, or as PNG where
            it is made of pixels.
    """

    png: bytes
    svg: bytes
    address: str


def picture(exhibit: Exhibit) -> Picture | None:
    """Draw and render an exhibit's figure, if it has one."""
    figure = exhibit.draw()
    if figure is None:
        return None
    svg = figures.render(figure, "svg")
    if exhibit.image is None:
        address = _address("image/svg+xml", figures.cut_caption(figure, svg))
    else:
        address = _address("image/png", figures.render_without_caption(figure, "png"))
    return Picture(png=figures.render(figure, "png"), svg=svg, address=address)


def _address(mime: str, content: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"
