"""The task *segment*: outlines of cells and nuclei.

An image goes: scaled so that objects have the network's working diameter, normalised as a
whole, through the network in tiles, decoded at the image's own size.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from microshot.data.normalize import Normalization
from microshot.data.patches import Field
from microshot.data.scale import (
    median_diameter,
    object_areas,
    resize_image,
    resize_labels,
    scaled_shape,
)
from microshot.inference.predictor import run_tiles
from microshot.metrics.labels import Tally, average_precision, match
from microshot.nn.geometry import PARTS, receptive_radius, side_multiple
from microshot.progress import Progress, silent, throttled
from microshot.tasks import pixels, stardist
from microshot.tasks.base import Hyper, Network, Recipe, Scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from microshot.data.dataset import Sample
    from microshot.training.trainer import Stage

#: Median diameter of objects at the scale the network works at, in px.
WORKING_DIAMETER_PX = 24.0
#: Images are never enlarged or reduced by more than this.
LEAST_SCALE, GREATEST_SCALE = 1 / 8, 2.0

FAST = Hyper(
    learning_rate=1e-3, batch_size=4, patch_px=128, augmentation="standard", ema=0.99,
)  # fmt: skip
#: StarDist's own values (Config2D defaults and example notebooks).
FAITHFUL = Hyper(
    learning_rate=3e-4, batch_size=4, patch_px=256, augmentation="light", schedule="plateau",
    ema=0.0, clip=0.0, warmup_steps=0, epochs=400,
)  # fmt: skip
PRESETS = {"fast": FAST, "faithful": FAITHFUL}
RETRAIN = FAST


@dataclass(frozen=True, eq=False)
class RawSegmentation:
    """What the network said of one image, before any threshold."""

    shape: tuple[int, int]
    scale: float
    candidates: stardist.Candidates | None = None
    maps: np.ndarray | None = None
    """(K, Y, X) float16 probabilities of a pixel head at the image's own size."""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Objects found in one image."""

    labels: np.ndarray
    """(Y, X) int32, 0 background, 1..n objects."""
    probability: np.ndarray
    """(n,) float32, one per object."""
    outlines: np.ndarray | None = None
    """(n, R, 2) float32 (y, x) corners, where the head draws polygons."""

    @property
    def n_objects(self) -> int:
        """Number of objects."""
        return len(self.probability)

    @property
    def confidence(self) -> float | None:
        """Mean probability of the objects; None where there are none."""
        return float(self.probability.mean()) if len(self.probability) else None


@dataclass(frozen=True)
class Options:
    """What a user may change when predicting; 0 = as the model says."""

    probability: float = 0.0
    overlap: float = 0.0
    diameter_px: float = 0.0
    least_area_px: int = 0
    tile_px: int = 1024


class SegmentTask:
    """See `tasks.base.Task`."""

    name = "segment"
    primary = "f1"
    primary_label = "F1"
    larger_is_better = True

    @property
    def parts(self) -> Mapping[str, tuple[str, ...]]:
        """Parts of the network by name."""
        return PARTS

    # ---- training data

    def is_labelled(self, sample: Sample) -> bool:
        """A label image teaches, also one without objects."""
        return sample.labels is not None

    def check(self, samples: Sequence[Sample]) -> list[str]:
        """Refuse label images that can teach nothing; warn of suspicious ones."""
        areas = [object_areas(s.labels) for s in samples if s.labels is not None]
        if not any(len(a) for a in areas):
            raise ValueError(
                "The label images hold no object at all (every pixel is background); "
                "expected one id per object, check that labels and images were not swapped."
            )
        notes = []
        for sample, area in zip(samples, areas, strict=True):
            if len(area) == 1 and area[0] > 0.9 * sample.image.pixels[0].size:
                notes.append(
                    f"{sample.name}: one object covers {area[0] / sample.image.pixels[0].size:.0%} "
                    "of the image; is this a mask of the field of view?"
                )
        empty = sum(len(a) == 0 for a in areas)
        if empty:
            notes.append(f"{empty} of {len(areas)} label images hold no object.")
        return notes

    def hyper(self, settings: Any, start: Recipe | None) -> Hyper:
        """Resolve automatic training values."""
        base = RETRAIN if start is not None else PRESETS[settings.preset]
        t, i = settings.training, settings.images
        given = {
            "learning_rate": t.learning_rate or None,
            "batch_size": t.batch_size or None,
            "patch_px": i.patch_px or None,
            "augmentation": None if i.augmentation == "auto" else i.augmentation,
            "optimizer": None if t.optimizer == "auto" else t.optimizer,
            "schedule": None if t.schedule == "auto" else t.schedule,
            "epochs": t.epochs or None,
            "synthetic_fraction": i.synthetic_fraction,
        }
        return dataclasses.replace(base, **{k: v for k, v in given.items() if v is not None})

    def recipe(self, samples: Sequence[Sample], settings: Any, start: Recipe | None) -> Recipe:
        """Choose scale, normalisation and network; a retrained model keeps the last two."""
        i = settings.images
        labelled = [s.labels for s in samples if s.labels is not None]
        diameter = i.diameter_px or median_diameter(labelled) or WORKING_DIAMETER_PX
        n_channels = samples[0].image.n_channels
        if start is not None:
            working = float(start.preparation["working_diameter_px"])
            architecture = {**start.architecture, "in_channels": n_channels}
            normalization = start.normalization
        else:
            faithful = settings.preset == "faithful"
            rescale = i.rescale == "yes" or (i.rescale == "auto" and not faithful)
            working = WORKING_DIAMETER_PX if rescale else diameter
            architecture = self._architecture(settings, n_channels)
            kind = i.normalization
            if kind == "auto":
                kind = "percentile" if faithful else "zscore"
            normalization = Normalization(kind, low=i.low_percentile, high=i.high_percentile)
        return Recipe(
            architecture,
            normalization,
            {"working_diameter_px": working, "image_diameter_px": diameter},
            {"halo_px": receptive_radius(architecture)},
            {"probability": 0.5, "overlap": 0.4},
        )

    def _architecture(self, settings: Any, n_channels: int) -> dict[str, Any]:
        n = settings.network
        backbone = "unet" if n.backbone == "auto" else n.backbone
        return {
            "name": "segmenter",
            "backbone": backbone,
            "head": "stardist" if n.head == "auto" else n.head,
            "in_channels": n_channels,
            "width": n.width or (16 if backbone.endswith("-unet") else 32),
            "depth": n.depth,
            "rays": n.rays,
            "grid": n.grid or 2,
        }

    def build(self, architecture: Mapping[str, Any], seed: int) -> nn.Module:
        """Return the network with fresh weights drawn from `seed`."""
        import torch

        from microshot.nn.segmenter import Segmenter

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Segmenter(architecture)

    def prepare(self, sample: Sample, recipe: Recipe) -> Field:
        """Scale and normalise an image and its labels for cropping."""
        if sample.labels is None:
            raise ValueError(f"{sample.name}: has no label image.")
        scale = _scale(recipe, 0.0)
        if sample.domain == "synthetic":  # generated objects have their own size
            own = median_diameter([sample.labels])
            scale = _clip(recipe.preparation["working_diameter_px"] / own) if own else scale
        shape = scaled_shape(sample.image.shape, scale)
        image = recipe.normalization.apply(resize_image(sample.image.pixels, shape))
        return Field.of(image, resize_labels(sample.labels, shape))

    def stages(
        self,
        model: nn.Module,
        recipe: Recipe,
        hyper: Hyper,
        items: Sequence[Field],
        synthetic: Sequence[Field],
        validation: Sequence[Field],
        seed: int,
    ) -> list[Stage]:
        """Return the one stage of this task."""
        from microshot.tasks.segment_training import stage

        return [stage(model, recipe, hyper, items, synthetic, validation, seed)]

    # ---- prediction

    def raw(
        self,
        network: Network,
        recipe: Recipe,
        sample: Sample,
        options: Options | None = None,
        progress: Progress = silent,
    ) -> RawSegmentation:
        """Run the network over one image of any size."""
        options = options or Options()
        a = recipe.architecture
        n_channels = int(a["in_channels"])
        image = sample.image
        if image.n_channels != n_channels:
            raise ValueError(
                f"{sample.name}: expected {n_channels} channel(s) as in the model's training "
                f"images, found {image.n_channels}; choose the same channels as then."
            )
        scale = _scale(recipe, options.diameter_px)
        shape = scaled_shape(image.shape, scale)
        pixels_in = recipe.normalization.apply(resize_image(image.pixels, shape))
        grid = int(a["grid"])
        kwargs = {
            "tile_px": options.tile_px,
            "halo_px": int(recipe.tile["halo_px"]),
            "multiple": side_multiple(a),
            "grid": grid,
            "progress": progress,
        }
        if a["head"] == "stardist":
            candidates = stardist.Candidates()
            least = options.probability or float(recipe.thresholds["probability"])
            run_tiles(
                network, pixels_in,
                lambda t, out: candidates.add(out, (t.y.start, t.x.start), grid, least),
                **kwargs,
            )  # fmt: skip
            return RawSegmentation(image.shape, scale, candidates=candidates)
        maps = np.zeros((1 if a["head"] == "foreground" else 3, *shape), np.float32)
        run_tiles(network, pixels_in, _PixelSink(maps, grid), **kwargs)
        return RawSegmentation(
            image.shape, scale, maps=resize_image(maps, image.shape).astype(np.float16)
        )

    def raw_for_calibration(
        self, network: Network, recipe: Recipe, sample: Sample
    ) -> RawSegmentation:
        """Run the network and keep every candidate a threshold search could ask for."""
        options = Options(probability=stardist.LEAST_PROBABILITY)
        return self.raw(network, recipe, sample, options)

    def options(self, settings: Any) -> Options:
        """Take from the user's settings what this task knows."""
        known = [f.name for f in dataclasses.fields(Options)]
        return Options(**{name: getattr(settings, name) for name in known})

    def decode(
        self, raw: RawSegmentation, recipe: Recipe, options: Options | None = None
    ) -> Segmentation:
        """Turn the network's output into objects."""
        options = options or Options()
        threshold = options.probability or float(recipe.thresholds["probability"])
        overlap = options.overlap or float(recipe.thresholds["overlap"])
        if raw.candidates is not None:
            found = stardist.suppress(raw.candidates, raw.shape, raw.scale, threshold, overlap)
            labels, source = stardist.draw(found, raw.shape)
            outlines = stardist.polygons(found.points, found.distance)[source]
            made = Segmentation(labels, found.probability[source], outlines)
        else:
            made = _decode_maps(raw, recipe, threshold)
        return _without_small(made, options.least_area_px)

    def adapted(self, recipe: Recipe, to: Recipe) -> Recipe:
        """Return `recipe` for images with the object diameter of `to`."""
        diameter = to.preparation["image_diameter_px"]
        preparation = {**recipe.preparation, "image_diameter_px": diameter}
        return dataclasses.replace(recipe, preparation=preparation)

    def calibrate(
        self,
        raw: Sequence[RawSegmentation],
        samples: Sequence[Sample],
        recipe: Recipe,
        progress: Progress = silent,
    ) -> dict[str, float]:
        """Find the thresholds with the best mean accuracy at IoU 0.3, 0.5 and 0.7."""
        report = throttled(progress)
        done = [0]

        def score(probability: float, overlap: float) -> float:
            done[0] += 1
            report(1 - 0.9 ** done[0], "setting thresholds")
            options = Options(probability=probability, overlap=overlap)
            found = [self.decode(r, recipe, options).labels for r in raw]
            truths = [s.labels for s in samples if s.labels is not None]
            values = []
            for threshold in (0.3, 0.5, 0.7):
                tallies = [match(t, p, threshold) for t, p in zip(truths, found, strict=True)]
                values.append(sum(tallies, Tally(0, 0, 0, 0.0)).accuracy)
            return float(np.mean(values))

        greatest = max((_greatest(r) for r in raw), default=0.0)
        if greatest <= stardist.LEAST_PROBABILITY:
            return {"probability": 0.5, "overlap": 0.4}
        overlaps = stardist.OVERLAP_THRESHOLDS if raw[0].candidates is not None else (0.4,)
        probability, overlap, _ = stardist.optimize_thresholds(score, greatest, overlaps)
        return {"probability": round(probability, 4), "overlap": overlap}

    def score(self, prediction: Segmentation, sample: Sample, **options: Any) -> Scores:
        """Count hits and misses at IoU 0.5 and average over IoU 0.50 to 0.95.

        Objects that lie entirely in a border of `border_px` are not scored.
        """
        border_px = int(options.get("border_px", 0))
        truth = sample.labels
        if truth is None:
            raise ValueError(f"{sample.name}: has no label image to compare with.")
        m = match(truth, prediction.labels, 0.5, border_px=border_px)
        return {
            "true_positives": m.tp,
            "false_positives": m.fp,
            "false_negatives": m.fn,
            "iou_sum": m.score_sum,
            "f1": m.f1,
            "panoptic_quality": m.panoptic_quality,
            "average_precision": average_precision(truth, prediction.labels, border_px=border_px),
        }

    def summarize(self, scores: Sequence[Scores]) -> Scores:
        """Pool hits and misses of all images; average precision is averaged over images."""
        pooled = Tally(
            sum(int(s["true_positives"]) for s in scores),
            sum(int(s["false_positives"]) for s in scores),
            sum(int(s["false_negatives"]) for s in scores),
            sum(s["iou_sum"] for s in scores),
        )
        return {
            "true_positives": pooled.tp,
            "false_positives": pooled.fp,
            "false_negatives": pooled.fn,
            "iou_sum": pooled.score_sum,
            "f1": pooled.f1,
            "panoptic_quality": pooled.panoptic_quality,
            "average_precision": float(np.mean([s["average_precision"] for s in scores])),
        }


def _clip(scale: float) -> float:
    scale = min(max(scale, LEAST_SCALE), GREATEST_SCALE)
    return 1.0 if abs(scale - 1) < 0.05 else scale


def _scale(recipe: Recipe, diameter_px: float) -> float:
    """Return px of the network's input per px of the image."""
    own = diameter_px or float(recipe.preparation["image_diameter_px"])
    return _clip(float(recipe.preparation["working_diameter_px"]) / own)


class _PixelSink:
    """Puts the probabilities of a pixel head in their place."""

    def __init__(self, maps: np.ndarray, grid: int) -> None:
        self.maps, self.grid = maps, grid

    def __call__(self, tile: Any, output: np.ndarray) -> None:
        y, x = tile.y, tile.x
        full = output.repeat(self.grid, 1).repeat(self.grid, 2)
        full = full[:, : y.stop - y.start, : x.stop - x.start]
        if len(full) == 1:
            values = 1 / (1 + np.exp(-full))
        else:
            e = np.exp(full - full.max(0))
            values = e / e.sum(0)
        self.maps[:, y.start : y.stop, x.start : x.stop] = values


def _decode_maps(raw: RawSegmentation, recipe: Recipe, threshold: float) -> Segmentation:
    assert raw.maps is not None
    maps = raw.maps.astype(np.float32)
    if recipe.architecture["head"] == "foreground":
        labels = pixels.objects_from_foreground(maps[0], threshold)
        return Segmentation(labels, pixels.mean_by_object(labels, maps[0]).astype(np.float32))
    labels = pixels.objects_from_boundary(maps[pixels.INTERIOR], maps[pixels.BACKGROUND], threshold)
    inside = 1 - maps[pixels.BACKGROUND]
    return Segmentation(labels, pixels.mean_by_object(labels, inside).astype(np.float32))


def _without_small(found: Segmentation, least_area_px: int) -> Segmentation:
    """Leave out objects smaller than `least_area_px` and number the others anew."""
    if least_area_px <= 1 or not found.n_objects:
        return found
    areas = np.bincount(found.labels.ravel(), minlength=found.n_objects + 1)[1:]
    keep = areas >= least_area_px
    new_id = np.concatenate([[0], np.cumsum(keep) * keep]).astype(np.int32)
    outlines = None if found.outlines is None else found.outlines[keep]
    return Segmentation(new_id[found.labels], found.probability[keep], outlines)


def _greatest(raw: RawSegmentation) -> float:
    """Return the greatest object probability anywhere in the image."""
    if raw.maps is not None:
        channel = 0 if len(raw.maps) == 1 else pixels.INTERIOR
        return float(raw.maps[channel].max())
    assert raw.candidates is not None
    return max((float(p.max()) for p in raw.candidates.probability if len(p)), default=0.0)
