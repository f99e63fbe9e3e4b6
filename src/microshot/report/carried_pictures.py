"""Pictures small enough to travel in a model file, and galleries made of them again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from microshot.report import stains
from microshot.report.page import Markup
from microshot.report.pictures import KEYS, Panel, View, gallery_of, picture, tile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microshot.report.pictures import Example, Maker

#: Images shown, panels of each, and the longer side of a picture.
MOST_IMAGES, MOST_PANELS, LONGER_SIDE_PX = 4, 20, 320
#: Panels that there is always room for.
_FEW_PANELS = 7
#: Bytes of all photographs together and of a single one, at most.
ALL_BYTES, ONE_BYTES = 150_000, 22_000
#: A file that claims larger pictures was not written by us.
_MOST_SIDE_PX, _MOST_LETTERS = 4096, 400_000
_SOURCE = re.compile(r'src="(data:image/(?:jpeg|png);base64,[A-Za-z0-9+/]+=*)"')


def packed(
    examples: Sequence[Example], panels: Maker, keys: Sequence[str], names: Mapping[str, str]
) -> dict[str, Any]:
    """Return JSON values of the first examples as `panels` shows them.

    Parameters
    ----------
    names : what images are called in the file, by their own name.
    """
    shown = examples[:MOST_IMAGES]
    n_panels = max([_FEW_PANELS, *(1 + stains.n_panels(example) for example in shown)])
    limit = min(ONE_BYTES, ALL_BYTES // max(1, n_panels * len(shown)) * 2)
    tiles = []
    for example in shown:
        view = View(example, LONGER_SIDE_PX, limit)
        made = [
            {
                "title": p.title,
                "note": p.note,
                "images": _SOURCE.findall(p.picture),
                "column": p.column,
            }
            for p in list(panels(example, view))[:MOST_PANELS]
        ]
        name = names.get(example.name, "")
        told = [text for text in (example.caption, view.note) if text]
        tiles.append({"name": name, "told": told, "shape": list(view.shape), "panels": made})
    return {"keys": list(keys), "tiles": tiles}


def unpacked(values: Any) -> Markup:
    """Return the gallery of what `packed` returned; what is not of its form is left out."""
    if not isinstance(values, dict):
        return Markup("")
    tiles = [made for one in _list(values.get("tiles"))[:MOST_IMAGES] if (made := _tile(one))]
    keys = [k for k in _list(values.get("keys")) if isinstance(k, str) and k in KEYS]
    return gallery_of("".join(tiles), keys) if tiles else Markup("")


def _tile(values: Any) -> str:
    if not isinstance(values, dict) or not _is_shape(values.get("shape")):
        return ""
    name, shape = str(values.get("name") or "image"), tuple(values["shape"])
    panels = [_panel(p, shape, name) for p in _list(values.get("panels"))[:MOST_PANELS]]
    known = [p for p in panels if p is not None]
    return tile(name, known, *map(str, _list(values.get("told")))) if known else ""


def _panel(values: Any, shape: tuple[int, int], name: str) -> Panel | None:
    if not isinstance(values, dict):
        return None
    sources = [s for s in _list(values.get("images")) if _is_source(s)]
    if not sources:
        return None
    title, note = str(values.get("title") or ""), str(values.get("note") or "")
    alt = f"{name}, {title}: {note}"
    shown = picture(sources[0], shape, alt, "".join(sources[1:2]))
    column = values.get("column")  # unknown in files written before there were any
    if type(column) is not int or not 0 <= column <= MOST_PANELS:
        column = 0
    return Panel(title, shown, note, column)


def _is_source(value: Any) -> bool:
    known = isinstance(value, str) and len(value) <= _MOST_LETTERS
    return known and _SOURCE.fullmatch(f'src="{value}"') is not None


def _is_shape(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(type(n) is int and 0 < n <= _MOST_SIDE_PX for n in value)
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
