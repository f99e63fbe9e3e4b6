"""Drawing charts as SVG: scales with round ticks, and a canvas with axes.

Hand-made, because the drawings shall share the page's fonts, stay small, and cost nothing to
import; a drawing stands alone as a file, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from unicodedata import east_asian_width

from microshot.report.style import FAINT, FONT, INK, QUIET, RULE
from microshot.report.wording import number, shortened

#: Width of a letter relative to the font size: a wide mean, so that nothing is cut off; and by
#: which part of it a capital, and a Chinese, Japanese or Korean sign is wider.
_LETTER, _CAPITAL, _SQUARE = 0.56, 0.3, 0.8
SIZE = 13.0
#: Width of a full chart in px.
WIDTH = 640.0
#: No axis goes farther, so that sums stay finite, and none is shorter, so that steps do.
FARTHEST, LEAST_SPAN = 1e300, 1e-300
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Scale:
    """Maps values from `low` to `high` onto 0 to 1."""

    low: float
    high: float
    log: bool = False
    whole: bool = False
    """Whether its values are whole numbers, as counts are: then so are its ticks."""

    def __call__(self, value: float) -> float:
        """Return where `value` lies; outside values keep to the edge."""
        if self.high == self.low:
            return 0.5
        if self.log:
            place = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            place = (value - self.low) / (self.high - self.low)
        return min(max(place, 0.0), 1.0)

    def ticks(self, n: int = 5) -> list[float]:
        """Return about `n` round values within the scale."""
        if self.log:
            return _log_ticks(self.low, self.high)
        step = max(nice_step(self.high - self.low, n), float(self.whole))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [0.0 if i == 0 else i * step for i in range(first, last + 1)]


def nice_step(span: float, n: int = 5) -> float:
    """Return 1, 2 or 5 times a power of ten, so that about `n` steps make `span`."""
    raw = span / max(n, 1)
    if not raw > 0 or not math.isfinite(raw):
        return 1.0
    power = 10.0 ** math.floor(math.log10(raw))
    return next((m * power for m in (1, 2, 5) if m * power >= raw * 0.999), 10 * power)


def _log_ticks(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if last - first <= 3 else (1,)
    every = max(1, (last - first) // 6)
    made = [m * 10.0**e for e in range(first, last + 1, every) for m in steps]
    return [v for v in made if low * 0.9999 <= v <= high * 1.0001] or [low, high]


def linear(
    values: Iterable[float], *, zero: bool = False, least_span: float = 0.0, whole: bool = False
) -> Scale:
    """Return a scale with round ends that holds all `values` (and 0); see `Scale.whole`."""
    known = [min(max(v, -FARTHEST), FARTHEST) for v in values if math.isfinite(v)] or [0.0]
    low, high = min(known), max(known)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low < least_span:
        middle = (low + high) / 2
        low, high = middle - least_span / 2, middle + least_span / 2
    if high == low:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low < LEAST_SPAN:
        low, high = 0.0, 1.0
    step = max(nice_step(high - low), float(whole))
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return Scale(low, high, whole=whole)


def logarithmic(values: Iterable[float]) -> Scale:
    """Return a logarithmic scale that holds all positive `values`, with ends at 1, 2 or 5."""
    known = [v for v in values if LEAST_SPAN <= v <= FARTHEST] or [1.0]
    return Scale(_rounded(min(known), up=False), _rounded(max(known) * 1.0001, up=True), log=True)


def _rounded(value: float, *, up: bool) -> float:
    """Return the next 1, 2 or 5 times a power of ten, above or at most `value`."""
    exponent = math.floor(math.log10(value))
    steps = [m * 10.0**e for e in (exponent - 1, exponent, exponent + 1) for m in (1, 2, 5)]
    if up:
        return min(s for s in steps if s >= value)
    return max(s for s in steps if s <= value * 1.0001)


def width_of(text: str, size: float = SIZE) -> float:
    """Estimate the width of `text` in px; capitals and East Asian signs are wider than letters."""
    square = sum(east_asian_width(sign) in "WF" for sign in text)
    return (len(text) + _CAPITAL * sum(map(str.isupper, text)) + _SQUARE * square) * size * _LETTER


def sides(width: float, x: Scale, y: Scale, n_x: int = 6, n_y: int = 5) -> tuple[float, float]:
    """Return the left and right edge of a frame whose axes' numbers all lie inside a canvas.

    Parameters
    ----------
    width : of the canvas in px.
    n_x, n_y : about how many ticks the axes have.
    """
    below = [width_of(number(t)) / 2 for t in x.ticks(n_x)] or [0.0]
    beside = max((width_of(number(t)) for t in y.ticks(n_y)), default=0.0)
    return max(20 + beside, 6 + below[0]), width - 6 - below[-1]


def fitted(text: str, width: float) -> str:
    """Return `text`, cut in its middle where it is estimated to be wider than `width` px."""
    made, most = text, len(text)
    while most > 1 and width_of(made) > width:
        most -= 1
        made = shortened(text, most)
    return made


@dataclass
class Canvas:
    """An SVG drawing in the making; coordinates in px from the top left."""

    width: float
    height: float
    label: str
    """Read aloud where the drawing cannot be seen."""
    parts: list[str] = field(default_factory=list)

    def line(
        self, x1: float, y1: float, x2: float, y2: float, colour: str = RULE, width: float = 1,
        dash: str = "",
    ) -> None:  # fmt: skip
        """Draw a straight line."""
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="{colour}" stroke-width="{width:g}"{_dashed(dash)}/>'
        )

    def path(self, points: Points, colour: str, width: float = 2, dash: str = "") -> None:
        """Draw a line through `points`."""
        if len(points) == 1:
            self.dot(*points[0], colour, width + 1)
        elif points:
            at = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            self.parts.append(
                f'<polyline points="{at}" fill="none" stroke="{colour}" stroke-width="{width:g}" '
                f'stroke-linejoin="round" stroke-linecap="round"{_dashed(dash)}/>'
            )

    def area(self, points: Points, colour: str, opacity: float = 0.16) -> None:
        """Fill the polygon of `points`."""
        at = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polygon points="{at}" fill="{colour}" fill-opacity="{opacity:g}"/>')

    def dot(
        self, x: float, y: float, colour: str, radius: float = 4, *, hollow: bool = False,
        title: str = "",
    ) -> None:  # fmt: skip
        """Draw a disc, or a ring."""
        paint = f'fill="#fff" stroke="{colour}" stroke-width="2"' if hollow else f'fill="{colour}"'
        told = f"><title>{escape(title)}</title></circle>" if title else "/>"
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" {paint}{told}')

    def bar(
        self, x: float, y: float, width: float, height: float, colour: str, opacity: float = 1
    ) -> None:
        """Draw a filled rectangle."""
        fill = f' fill-opacity="{opacity:g}"' if opacity < 1 else ""
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" '
            f'height="{max(height, 0):.1f}" fill="{colour}"{fill}/>'
        )

    def text(
        self, x: float, y: float, text: str, *, anchor: str = "start", colour: str = QUIET,
        size: float = SIZE, bold: bool = False, turn: bool = False, title: str = "",
    ) -> None:  # fmt: skip
        """Write `text` with its baseline at (x, y); `turn` writes it upwards."""
        more = ' font-weight="600"' if bold else ""
        more += f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turn else ""
        told = f"<title>{escape(title)}</title>" if title else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size:g}" '
            f'fill="{colour}"{more}>{told}{escape(text)}</text>'
        )

    def svg(self) -> str:
        """Return the finished drawing, one ``<svg>`` element."""
        size = f"{self.width:g} {self.height:g}"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" '
            f'width="{self.width:g}" height="{self.height:g}" role="img" '
            f'aria-label="{escape(self.label)}" font-family="{FONT}">{"".join(self.parts)}</svg>'
        )


def _dashed(dash: str) -> str:
    return f' stroke-dasharray="{dash}"' if dash else ""


@dataclass(frozen=True)
class Frame:
    """The rectangle of a chart within its canvas, and its two scales."""

    canvas: Canvas
    left: float
    top: float
    right: float
    bottom: float
    x: Scale
    y: Scale

    def px(self, value: float) -> float:
        """Return the horizontal place of a value."""
        return self.left + self.x(value) * (self.right - self.left)

    def py(self, value: float) -> float:
        """Return the vertical place of a value."""
        return self.bottom - self.y(value) * (self.bottom - self.top)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the place of a point."""
        return self.px(x), self.py(y)

    def y_axis(self, label: str, n: int = 5) -> None:
        """Draw horizontal grid lines with their values, and the axis' name above them."""
        for tick in self.y.ticks(n):
            y = self.py(tick)
            self.canvas.line(self.left, y, self.right, y, FAINT if tick else RULE)
            self.canvas.text(self.left - 8, y + 4.5, number(tick), anchor="end")
        self.canvas.text(self.left, self.top - 10, label)

    def x_axis(self, label: str, n: int = 6, *, grid: bool = False) -> None:
        """Draw the lower edge with values, and the axis' name below them."""
        self.canvas.line(self.left, self.bottom, self.right, self.bottom, QUIET)
        for tick in self.x.ticks(n):
            x = self.px(tick)
            if grid:
                self.canvas.line(x, self.top, x, self.bottom, FAINT)
            self.canvas.line(x, self.bottom, x, self.bottom + 4, QUIET)
            self.canvas.text(x, self.bottom + 18, number(tick), anchor="middle")
        middle = (self.left + self.right) / 2
        self.canvas.text(middle, self.bottom + 36, label, anchor="middle")


def legend(canvas: Canvas, x: float, y: float, items: Sequence[tuple[str, str, str]]) -> float:
    """Write (mark, colour, text) side by side from (x, y); return the y of the last line.

    A mark is ``line``, ``dash``, ``dot``, ``ring``, ``bar``, ``band``, or empty for text alone.
    Items that would leave the canvas go to the next line; longer ones are cut in their middle.
    """
    start, right = x, canvas.width
    for mark, colour, full in items:
        text = fitted(full, right - start - 28)
        wide = 28 + width_of(text)
        if x > start and x + wide > right:
            x, y = start, y + 19
        if mark in ("line", "dash"):
            canvas.line(x, y - 4.5, x + 20, y - 4.5, colour, 2.5, "4 3" if mark == "dash" else "")
        elif mark in ("dot", "ring"):
            canvas.dot(x + 10, y - 4.5, colour, 5, hollow=mark == "ring")
        elif mark:
            canvas.bar(x + 4, y - 10, 14, 11, colour, 0.25 if mark == "band" else 1)
        canvas.text(x + 26, y, text, colour=INK, title="" if text == full else full)
        x += wide + 14
    return y


def left_out(n: int, drawn: int, which: str = "") -> list[tuple[str, str, str]]:
    """Return what a legend says where only some of `n` series or rows are drawn, and `which`."""
    told = f"{drawn} of {n} drawn" + (f", {which}" if which else "")
    return [("", QUIET, told)] if drawn < n else []


def no_values(label: str) -> str:
    """Return a drawing that says that there is nothing to draw."""
    canvas = Canvas(WIDTH, 60, label)
    canvas.text(0, 35, f"{label}: no values.")
    return canvas.svg()
