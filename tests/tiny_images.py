"""Small images of discs with their labels, and a check of pages, shared by tests."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser

import numpy as np

from microshot.data.codec import image_to_pil


def discs(
    side: int = 48, n: int = 3, seed: int = 0, *, dtype: type = np.uint16
) -> tuple[np.ndarray, np.ndarray]:
    """Return an image (Y, X) of `n` bright discs of 6 px radius, and its labels (Y, X) int32."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    labels = np.zeros((side, side), np.int32)
    places = [(r, c) for r in range(8, side - 7, 16) for c in range(8, side - 7, 16)]
    order = rng.permutation(len(places))[:n]
    for number, index in enumerate(order, 1):
        row, column = places[index]
        labels[(y - row) ** 2 + (x - column) ** 2 <= 36] = number
    top = 200 if dtype is np.uint8 else 3000
    image = rng.normal(top / 10, top / 50, labels.shape) + top / 2 * (labels > 0)
    return image.clip(0, top).astype(dtype), labels


def png_bytes(pixels: np.ndarray) -> bytes:
    """Return pixels as a PNG file; see `codec.image_to_pil` for what they may be."""
    buffer = io.BytesIO()
    image_to_pil(pixels).save(buffer, "PNG")
    return buffer.getvalue()


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._silent = 0
        self._broken = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._silent += tag in ("style", "script")
        self._broken = tag == "wbr"

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("style", "script")

    def handle_data(self, data: str) -> None:
        if self._broken and self.texts:  # a long name that may break here
            self.texts[-1] += data.strip()
        elif not self._silent and data.strip():
            self.texts.append(data.strip())
        self._broken = False


def page_text(html: str) -> str:
    """Return what a reader sees of a page that must load nothing from elsewhere."""
    page = _Page()
    page.feed(html)
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object", "base", "embed"), tag
        for name in ("src", "href", "xlink:href", "srcset", "action", "poster", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/", "#")), (tag, value)
    without_names = html.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"(?:https?:)?//[\w.-]+\.\w+/", without_names.split("<main>")[0])
    assert "url(http" not in html
    assert "@import" not in html
    return " ".join(page.texts)
