"""Checks that hold for every page: well formed, self-contained, accessible."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "input", "hr", "link", "wbr"}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, {k: v or "" for k, v in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.tags.append((tag, {k: v or "" for k, v in attrs}))

    def handle_endtag(self, tag) -> None:
        assert self.open, f"</{tag}> without beginning"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.texts.append(data)


def read(html: str) -> _Reader:
    """Parse a page and check what holds for all pages."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert not reader.open, f"never closed: {reader.open}"
    assert html.startswith("<!DOCTYPE html>")
    _check_self_contained(html, reader)
    _check_accessible(reader)
    for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ET.fromstring(svg)
    return reader


def text_of(html: str) -> str:
    """Return the page's visible text."""
    return " ".join(read(html).texts)


def _check_self_contained(html: str, reader: _Reader) -> None:
    assert "url(" not in html
    assert "@import" not in html
    assert not [t for t, _ in reader.tags if t in ("link", "iframe", "object", "base", "form")]
    for tag, attributes in reader.tags:
        for name in ("src", "href", "xlink:href", "srcset", "action", "poster"):
            if name in attributes:
                assert attributes[name].startswith(("data:image/", "#")), (tag, attributes[name])
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
    rest = html.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "http://" not in rest
    assert "https://" not in rest


def _check_accessible(reader: _Reader) -> None:
    tags = [t for t, _ in reader.tags]
    assert tags.count("h1") == 1
    assert ("html", {"lang": "en"}) in reader.tags
    for tag, attributes in reader.tags:
        if tag == "img":
            assert "alt" in attributes
        if tag == "svg":
            assert attributes["role"] == "img"
            assert attributes["aria-label"]
        if tag == "th":
            assert attributes.get("scope") in ("col", "row")
    ids = [a["id"] for _, a in reader.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for t, a in reader.tags if t == "a"} <= set(ids)
