"""What reports show of a Twin-VAE's understanding: the map of its latent space and its drawings."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from microshot.data.dataset import Domain
from microshot.metrics.images import pearson
from microshot.report import count_figures as figures
from microshot.report import overlay, wording
from microshot.report.counted import Counted
from microshot.report.page import Markup, figure, paragraph, section, side_by_side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: With fewer images there is no map of the latent space.
LEAST_FOR_MAP = 5
#: A file that claims more dots was not written by us.
MOST_DOTS = 2000
#: With fewer images UMAP has too few neighbours to begin with a spectral layout.
LEAST_FOR_SPECTRAL = 10
DRAWN_PX, DRAWN_BYTES = 256, 24_000
#: Drawings that correlate less with their images show nothing of them yet.
LEAST_DRAWN = 0.2
_DRAWN = {
    "image": "as the network sees it",
    "natural": "drawn as a natural image",
    "synthetic": "drawn as a synthetic image",
}


def main_axes(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of n points on the two axes along which they vary most (PCA).

    Parameters
    ----------
    embeddings : (n, L), n and L at least 2.

    Returns
    -------
    (n, 2) float64 places, and (2,) the part of the variance on either axis. The sign of an axis is
    such that its largest entry is positive.
    """
    centred = np.asarray(embeddings, np.float64) - np.mean(embeddings, axis=0, dtype=np.float64)
    left, size, axes = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(axes[np.arange(2), np.abs(axes[:2]).argmax(1)])
    total = float(np.square(size).sum())
    part = np.square(size[:2]) / total if total > 0 else np.zeros(2)
    return left[:, :2] * size[:2] * np.where(signs == 0, 1, signs), part


def umap_places(embeddings: np.ndarray) -> np.ndarray:
    """Return (n, 2) float64 places of n points (n, L) by UMAP with a fixed seed.

    15 neighbours and a least distance of 0.1, the library's own; fewer neighbours where there are
    fewer points.

    References
    ----------
    .. [1] McInnes, Healy & Melville 2018, arXiv:1802.03426.
    """
    from umap import UMAP  # pyright: ignore[reportMissingImports] an optional package

    many = np.asarray(embeddings, np.float32)
    start = "spectral" if len(many) > LEAST_FOR_SPECTRAL else "random"
    made = UMAP(n_neighbors=min(15, len(many) - 1), random_state=0, n_jobs=1, init=start)
    return np.asarray(made.fit_transform(many), np.float64)


def latent_map(counted: Sequence[Counted], kind: str = "pca") -> dict[str, Any]:
    """Return the map of the latent space as JSON values; empty where there are too few images.

    Returns
    -------
    ``kind``; ``part``, the part of the variation that both axes hold (of ``pca`` only); and
    ``dots``, per image its places on both axes, number of objects, and origin. An image that has
    no place in latent space has an empty list.
    """
    known = [c for c in counted if c.embedding is not None and c.embedding.size >= 2]
    if len(known) < LEAST_FOR_MAP:
        return {}
    embeddings = np.stack([np.ravel(c.embedding) for c in known])  # type: ignore[arg-type]
    made: dict[str, Any] = {"kind": kind}
    if kind == "umap":
        places = umap_places(embeddings)
    else:
        places, part = main_axes(embeddings)
        made["part"] = float(part.sum())
    at = dict(zip(known, places.tolist(), strict=True))
    made["dots"] = [
        [*at[c], float(c.true if c.true is not None else c.count or 0.0), c.domain]
        if c in at
        else []
        for c in counted
    ]
    return made


def map_section(values: Any, names: Sequence[str] = ()) -> Markup:
    """Draw what `latent_map` returned, also from a file; what is not of its form is left out.

    Parameters
    ----------
    names : of the images, one per dot; without, they are numbered.
    """
    values = values if isinstance(values, dict) else {}
    dots = values.get("dots")
    dots = dots[:MOST_DOTS] if isinstance(dots, list) else []
    names = names if len(names) == len(dots) else [f"image {i}" for i in range(1, len(dots) + 1)]
    known = [
        (Counted(name, float(dot[2]), domain=dot[3]), (float(dot[0]), float(dot[1])))
        for name, dot in zip(names, dots, strict=True)
        if _is_dot(dot)
    ]
    if len(known) < LEAST_FOR_MAP:
        return Markup("")
    every, at = [c for c, _ in known], [place for _, place in known]
    axes, told = figures.MAIN_AXES, "Every dot is an image, placed by what the network makes of it"
    if values.get("kind") == "umap":
        axes = "first UMAP axis", "second UMAP axis"
        told += "; images that are alike to the network lie together (UMAP)"
    elif wording.is_number(values.get("part")):
        told += f"; the two axes hold {wording.percent(float(values['part']))} of the variation"
    alike = f"{told}. Images with like counts should lie together."
    drawn = [figure(figures.map_by_count(at, every, axes), alike)]
    if len({c.domain for c in every}) > 1:
        drawn.append(
            figure(
                figures.map_by_domain(at, every, axes),
                "The same map: the more natural and synthetic images mix, the more synthetic ones "
                "teach about natural ones.",
            )
        )
    return section("Map of the latent space", side_by_side(*drawn))


def _is_dot(dot: Any) -> bool:
    return (
        isinstance(dot, list)
        and len(dot) == 4
        and all(wording.is_number(value) for value in dot[:3])
        and dot[3] in get_args(Domain)
    )


def drawn_section(pictures: Sequence[tuple[str, str, Mapping[str, np.ndarray]]]) -> Markup:
    """Return what a Twin-VAE draws of images: itself, and with the writer of the other domain.

    Parameters
    ----------
    pictures : name, domain, and (Y, X) pictures from 0 to 1: ``image``, ``natural``,
        ``synthetic``.
    """
    if not pictures:
        return Markup("")
    tiles = "".join(_drawn_tile(*one) for one in pictures)
    return section(
        "Reconstructions",
        paragraph(
            "What the network keeps of an image, drawn by the writer of its own kind of images and "
            "(switched) by that of the other kind. The more objects come back in their places, the "
            "more of the image the network has understood. The writer of a kind of images that the "
            "model never saw draws nothing sensible." + _resemblance(pictures)
        ),
        Markup(f'<div class="gallery"><div class="tiles">{tiles}</div></div>'),
    )


def _resemblance(pictures: Sequence[tuple[str, str, Mapping[str, np.ndarray]]]) -> str:
    """Say how much images and their drawings by their own writer resemble each other."""
    known = [pearson(shown["image"], shown[domain]) for _, domain, shown in pictures]
    known = [r for r in known if np.isfinite(r)]
    if not known:
        return ""
    r = float(np.mean(known))
    told = f" Images and their drawings by the writer of their own kind correlate with r = {r:.2f}."
    if r < LEAST_DRAWN:
        told += " So little says that drawing is not learned yet: give the training more time."
    return told


def _drawn_tile(name: str, domain: str, pictures: Mapping[str, np.ndarray]) -> str:
    panels = []
    for kind, pixels in pictures.items():
        title = _DRAWN.get(kind, kind)
        title += ", switched" if kind not in ("image", domain) else ""
        rgb = overlay.render(np.asarray(pixels)[None], low_high=(0.0, 1.0), max_px=DRAWN_PX)
        source, size = overlay.jpeg_data_uri(rgb, DRAWN_BYTES), rgb.shape
        alt = escape(f"{name}, {title}")
        panels.append(
            f'<div><div class="panel"><b>{escape(title)}</b></div><div class="picture">'
            f'<img src="{source}" alt="{alt}" width="{size[1]}" height="{size[0]}"/></div></div>'
        )
    return (
        f'<figure class="tile wide"><figcaption><span class="name">{escape(name)}</span>'
        f'</figcaption><div class="row">{"".join(panels)}</div></figure>'
    )
