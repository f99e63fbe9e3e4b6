"""How often objects are right, by how sure the model is: the reliability diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microshot.report.page import Markup, figure, paragraph, section, side_by_side
from microshot.report.plot import Canvas, Frame, Scale, legend
from microshot.report.style import NEW, OLD, QUIET
from microshot.report.wording import count_of, is_number

if TYPE_CHECKING:
    from microshot.bundle import Card

#: Mean difference of confidence and part that is right above which a reader is warned: one in ten.
MOST_ERROR = 0.1


def confidence_section(card: Card) -> Markup:
    """Return the section on the confidence of objects; empty where the model has none."""
    known = card.calibration.get("confidence")
    if not isinstance(known, dict):
        return Markup("")
    if "slope" not in known:
        note = known.get("note")
        return section("Confidence of objects", paragraph(str(note))) if note else Markup("")
    before, after = (_points(known.get(name)) for name in ("before", "after"))
    if not before or not after:
        return Markup("")
    told = (
        f"From {count_of(_whole(known.get('n_objects')), 'object')} in "
        f"{count_of(_whole(known.get('n_images')), 'image')} that the model had not seen; confidence "
        "in each image comes from the other ones. On the diagonal, objects are as often right as the "
        "model says."
    )
    errors = [known[name].get("error") for name in ("before", "after")]
    said = paragraph(
        f"The confidence of an object is meant to be how often such objects are right: of 100 with "
        f"confidence 0.9, about 90.{_warned(errors[1])} Mean difference between said and found: "
        f"{errors[1]:.3f}, against {errors[0]:.3f} for the raw probability."
        if all(map(is_number, errors))
        else "The confidence of an object is meant to be how often such objects are right."
    )
    drawn = reliability_diagram(before, after)
    return section("Confidence of objects", said, side_by_side(figure(drawn, told)))


def reliability_diagram(
    before: list[tuple[float, float, float]], after: list[tuple[float, float, float]]
) -> str:
    """Draw the part of objects that is right against how sure the model was of them.

    Parameters
    ----------
    before, after : number of objects, mean confidence and part that is right of each bin, for raw
        probabilities and for confidences.
    """
    canvas = Canvas(420, 380, "Reliability of probability and confidence")
    items = [("ring", OLD, "raw probability"), ("dot", NEW, "confidence")]
    top = legend(canvas, 0, 16, items) + 34
    frame = Frame(canvas, 44, top, 412, canvas.height - 46, Scale(0, 1), Scale(0, 1))
    frame.y_axis("part that is right")
    frame.x_axis("how sure the model was", grid=True)
    canvas.line(*frame.at(0, 0), *frame.at(1, 1), QUIET, 1.5, "4 3")
    most = max(n for n, _, _ in [*before, *after])
    for points, colour, hollow in ((before, OLD, True), (after, NEW, False)):
        canvas.path([frame.at(p, right) for _, p, right in points], colour, 1.5)
        for n, p, right in points:
            title = f"{count_of(int(n), 'object')}: {p:.2f} said, {right:.2f} right"
            radius = 3 + 5 * (n / most) ** 0.5
            canvas.dot(*frame.at(p, right), colour, radius, hollow=hollow, title=title)
    return canvas.svg()


def _warned(error: Any) -> str:
    """Return what to make of confidences that were wrong by `error` in the mean."""
    if error <= MOST_ERROR:
        return ""
    return " On these images it was not so: do not rely on the confidences of this model."


def _whole(value: Any) -> int:
    return int(value) if is_number(value) else 0


def _points(bins: Any) -> list[tuple[float, float, float]]:
    """Return (number, mean confidence, part right) of each bin; none where that makes no sense."""
    found: dict[str, Any] = bins if isinstance(bins, dict) else {}
    columns = [found.get(name) for name in ("n", "confidence", "right")]
    if not all(isinstance(c, list) and all(map(is_number, c)) for c in columns):
        return []
    return [(float(n), float(p), float(r)) for n, p, r in zip(*columns, strict=False)]  # type: ignore[misc]
