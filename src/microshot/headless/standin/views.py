"""What a node shows in its view: one self-contained page."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

from microshot.headless.standin.failure import missing

if TYPE_CHECKING:
    from collections.abc import Callable

_PNG_START = b"\x89PNG\r\n\x1a\n"
_LOADED = re.compile(
    r"<(?:script|img|link|iframe|source|video)\b[^>]*?\s(?:src|href)\s*=\s*[\"']?(?!data:|#)"
    r"([^\"'\s>]+)",
    re.IGNORECASE,
)


class NodeView:
    """A page for KNIME's view, made with one of the `view` functions."""

    def __init__(
        self,
        html: str,
        svg_or_png: str | bytes | None = None,
        render_fn: Callable[[], str | bytes] | None = None,
    ) -> None:
        if not isinstance(html, str) or not html.strip():
            raise TypeError(f"A view needs an HTML text, found {type(html).__name__}.")
        self.html = html
        self._image = svg_or_png
        self._render_fn = render_fn

    def render(self) -> str | bytes:
        """Return the image of the view, if it has one."""
        if self._image is None and self._render_fn is not None:
            self._image = self._render_fn()
        if self._image is None:
            raise NotImplementedError("The view has no image.")
        return self._image


def check_self_contained(view: NodeView) -> None:
    """Refuse pages that load something: KNIME shows views without files and without network.

    Raises
    ------
    ValueError : naming what the page would load.
    """
    if found := _LOADED.search(view.html):
        raise ValueError(
            f"The view loads {found.group(1)!r}, but KNIME shows only self-contained pages; "
            "put scripts and styles into the page and images as data: addresses."
        )


def view_html(
    html: str,
    svg_or_png: str | bytes | None = None,
    render_fn: Callable[[], str | bytes] | None = None,
) -> NodeView:
    return NodeView(html, svg_or_png, render_fn)


def view_svg(svg: str) -> NodeView:
    return NodeView(f"<!DOCTYPE html><html><body>{svg}</body></html>", svg)


def _page_of(kind: str, data: bytes) -> NodeView:
    if not isinstance(data, bytes):
        raise TypeError(f"An image view needs bytes, found {type(data).__name__}.")
    address = f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
    page = f'<!DOCTYPE html><html><body><img src="{address}" style="width:100%"></body></html>'
    return NodeView(page, data)


def view_png(png: bytes) -> NodeView:
    return _page_of("png", png)


def view_jpeg(jpeg: bytes) -> NodeView:
    return _page_of("jpeg", jpeg)


def view(obj: Any) -> NodeView:
    """Guess the view for an HTML page, SVG text, or PNG or JPEG bytes.

    Raises
    ------
    ValueError : if KNIME could not show `obj`.
    """
    if type(obj) is str and obj.lstrip()[:15].lower() == "<!doctype html>":
        return view_html(obj)
    if type(obj) is str and "<svg" in obj[:256] and "http://www.w3.org/2000/svg" in obj[:256]:
        return view_svg(obj)
    if type(obj) is bytes and obj.startswith(_PNG_START):
        return view_png(obj)
    if type(obj) is bytes and obj.startswith(b"\xff\xd8\xff") and obj.endswith(b"\xff\xd9"):
        return view_jpeg(obj)
    module = type(obj).__module__.split(".")[0]
    if module in {"matplotlib", "plotly"} or any(
        hasattr(obj, f"_repr_{k}_") for k in ("html", "svg", "png")
    ):
        raise missing(f"views of {type(obj).__name__} objects; write them to PNG or HTML")
    raise ValueError(
        f"The last result must be the node's view (knext.view_html, view_png …), found {obj!r:.80}."
    )
