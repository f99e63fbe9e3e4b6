"""Samples, data sets and splits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from microshot.words import form, how_many

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from microshot.data.image import Image

Domain = Literal["natural", "synthetic"]
Item = TypeVar("Item")
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Sample:
    """One field of view with whatever is known to be true about it."""

    name: str
    """RowID or file stem; names the sample in every message and table."""
    image: Image
    labels: np.ndarray | None = None
    """(Y, X) int32 instance ids: 0 background, negative = ignore (not annotated)."""
    count: float | None = None
    """Number of objects; None = not counted (0 is a count)."""
    points: np.ndarray | None = None
    """(n, 2) y and x of one point per object, in px from the middle of the first pixel."""
    ignore: np.ndarray | None = None
    """(Y, X) bool, where nobody looked for `points`; labels say it by negative ids."""
    target: Image | None = None
    """Fluorescence channels to predict from `image`."""
    domain: Domain = "natural"
    """Whether the image came from a microscope or from the generator."""
    group: str = ""
    """What images share that must not be on both sides of a split, such as their well."""
    side: str = ""
    """The same for their group and equal pixels, where `kept_together` found any of these."""

    def __post_init__(self) -> None:
        """Check that labels, target and points lie on the image's pixels."""
        for what, shape in (
            ("label image", None if self.labels is None else self.labels.shape),
            ("target image", None if self.target is None else self.target.shape),
            ("area to be ignored", None if self.ignore is None else self.ignore.shape),
        ):
            if shape is not None and tuple(shape) != self.image.shape:
                raise ValueError(
                    f"{self.name}: the {what} must have the size of the image, expected "
                    f"{self.image.shape[0]} x {self.image.shape[1]} px, found {shape[0]} x {shape[1]} px; "
                    "export both at the same resolution and without cropping."
                )
        if self.points is not None:
            _check_points(self.name, np.asarray(self.points), self.image.shape)

    @property
    def partly_known(self) -> bool:
        """Whether objects may lie where nobody looked for them, so that there may be more."""
        if self.points is not None:
            return self.ignore is not None and bool(self.ignore.any())
        return self.labels is not None and bool((self.labels < 0).any())


def _check_points(name: str, points: np.ndarray, shape: tuple[int, int]) -> None:
    if points.ndim != 2 or points.shape[1] != 2 or points.dtype.kind not in "iuf":
        raise ValueError(
            f"{name}: expected points as pairs of numbers y, x, found an array of shape "
            f"{points.shape} and type {points.dtype}."
        )
    inside = (points >= -0.5) & (points <= np.asarray(shape) - 0.5)  # NaN is not inside
    if not inside.all():
        y, x = points[~inside.all(axis=1)][0]
        raise ValueError(
            f"{name}: the point y = {y:g}, x = {x:g} lies outside of the image of {shape[0]} x "
            f"{shape[1]} px; give positions in pixels, y (down) before x (right)."
        )


@dataclass(frozen=True)
class Dataset:
    """Samples in a fixed order."""

    samples: tuple[Sample, ...] = field(default=())

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Dataset:
        """Collect `samples`."""
        return cls(tuple(samples))

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]

    def __add__(self, other: Dataset) -> Dataset:
        return Dataset(self.samples + other.samples)

    @property
    def groups(self) -> list[str]:
        """Return what every sample shares with those that must be on its side of a split.

        That is its group, or its side where there are copies; empty where it shares nothing.
        """
        return [sample.side or sample.group for sample in self.samples]

    @property
    def bond(self) -> str:
        """Say of samples that must all be on one side of a split, why."""
        groups = {sample.group for sample in self.samples}
        if len(groups) == 1 and groups != {""}:
            return f'belong to the group "{groups.pop()}"'
        if len({sample.image.digest for sample in self.samples}) == 1:
            return "have the same pixels"
        return "share groups or pixels"

    def take(self, indices: Sequence[int]) -> Dataset:
        """Return the samples at `indices`, in that order."""
        return Dataset(tuple(self.samples[i] for i in indices))


def kept_together(data: Dataset) -> tuple[Dataset, list[str]]:
    """Return the samples, those of one group or with equal pixels on one `side`, and a note on copies.

    Without copies, the samples stay as they are: their groups say it all.
    """
    alike: dict[bytes, list[Sample]] = {}
    for sample in data:
        alike.setdefault(sample.image.digest, []).append(sample)
    copies = [(one, first) for first, *more in alike.values() for one in more]
    if not copies:
        return data, []
    roots, first_of = list(range(len(data))), dict[str | bytes, int]()
    for row, sample in enumerate(data):
        for shared in (sample.group, sample.image.digest):
            if shared:
                roots[_root(roots, row)] = _root(roots, first_of.setdefault(shared, row))
    n, (one, first) = len(copies), copies[0]
    told = (
        f"{n} of {how_many(len(data), 'labelled image')} {form(n, 'has', 'have')} the same pixels as "
        f"another ({one.name} as {first.name}{', and so on' if n > 1 else ''}): such images are never "
        "both learned from and judged by."
    )
    sides = (replace(sample, side=str(_root(roots, row))) for row, sample in enumerate(data))
    return Dataset.of(sides), [told]


def _root(roots: Sequence[int], row: int) -> int:
    while roots[row] != row:
        row = roots[row]
    return row


def split(groups: Sequence[str], fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Divide rows at random into kept and held-out ones, all rows of a group on the same side.

    Rows without group (an empty text) are groups of their own. Groups are held out until they hold
    `fraction` of the rows, at least one row; one group at least stays, so that nothing is held
    out where there is only one, or where `fraction` is 0.

    Returns
    -------
    Indices of the kept and of the held-out rows, both sorted.
    """
    members = _members(groups)
    if len(members) < 2 or fraction <= 0:
        return list(range(len(groups))), []
    order = np.random.default_rng(seed).permutation(len(members))
    out: list[int] = []
    for position in order[:-1]:
        if len(out) >= max(1, round(len(groups) * fraction)):
            break
        out += members[position]
    return sorted(set(range(len(groups))) - set(out)), sorted(out)


def folds(groups: Sequence[str], n_folds: int, seed: int) -> list[list[int]]:
    """Divide rows into `n_folds` disjoint held-out sets that together are everything.

    All rows of a group are in the same set; rows without group are groups of their own. With as
    many folds as groups, or more, each set is one group, in order (leave one out).
    """
    members = _members(groups)
    n = len(members)
    if n_folds >= n:
        return members
    order = np.random.default_rng(seed).permutation(n)
    parts = np.array_split(order, n_folds)
    return [sorted(row for one in part for row in members[one]) for part in parts]


def _members(groups: Sequence[str]) -> list[list[int]]:
    found: dict[str | int, list[int]] = {}
    for row, group in enumerate(groups):
        found.setdefault(group or row, []).append(row)
    return list(found.values())


def first_of_parts(
    items: Iterable[Item], n_items: int, n: int, take: Callable[[Item], T | None]
) -> Iterator[T]:
    """Yield what `take` makes of the first of `items` in each of `n` parts of which it makes anything.

    `n_items` is how many there are; parts are as long as one another, or differ by one.
    """
    starts = spaced(range(n_items), n)
    for index, item in enumerate(items):
        if starts and index >= starts[0] and (taken := take(item)) is not None:
            starts = [start for start in starts if start > index]
            yield taken


def spaced(indices: Sequence[int], most: int) -> list[int]:
    """Return at most `most` of `indices`, evenly spaced, in their order."""
    n = min(len(indices), most)
    return [indices[i * len(indices) // n] for i in range(n)]
