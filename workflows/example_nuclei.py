"""The example workflows on real fluorescent nuclei, and their images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from example_canvas import AUTHOR, Canvas, epochs

from microshot.headless.workflow import Annotation, Workflow

if TYPE_CHECKING:
    from pathlib import Path

#: Median diameter of the objects in the four labelled images; the models that learn from them
#: measure it themselves.
NUCLEI_DIAMETER_PX = 24.0
#: Epochs of the trainings on four labelled and on six counted images.
FOUR_EPOCHS, SIX_EPOCHS = 4, 3
#: Nuclei of which a square shows fewer pixels are not counted in it.
LEAST_COUNTED_PX = 20
NUCLEI_SOURCE = """\
Real images of fluorescent nuclei, with {what}.

Origin: crops of the image that `stardist.data.test_image_nuclei_2d` returns (file img2d.tif
and mask2d.tif of the Python package stardist 0.9.2, BSD-3-Clause). It is a picture of the 2018
Data Science Bowl, stage 1 training set = Broad Bioimage Benchmark Collection BBBC038v1
(Caicedo et al. 2019, doi:10.1038/s41592-019-0612-7).
Licence: BBBC038 is dedicated to the public domain (CC0 1.0).
How cut: {how}
Written by workflows/build.py.
"""


def nuclei_crops(folder: Path, size: int, names: dict[str, list[int]]) -> None:
    """Write square crops of StarDist's test image as PNG images and label images."""
    from PIL import Image
    from stardist.data import test_image_nuclei_2d

    image, labels = test_image_nuclei_2d(return_mask=True)
    grid = image.shape[0] // size
    for group, indices in names.items():
        for part in ("images", "labels"):
            (folder / group / part).mkdir(parents=True, exist_ok=True)
        for index in indices:
            y, x = divmod(index, grid)
            cut = np.s_[y * size : (y + 1) * size, x * size : (x + 1) * size]
            pixels = np.asarray(image[cut], np.uint16)
            own = np.asarray(labels[cut])
            ids = np.unique(own)
            dense = np.searchsorted(ids[ids > 0], own) + 1
            ids_image = np.where(own > 0, dense, 0).astype(np.uint8)
            name = f"nuclei_{index:02d}.png"
            Image.fromarray(pixels).save(folder / group / "images" / name, optimize=True)
            Image.fromarray(ids_image).save(folder / group / "labels" / name, optimize=True)


def counted_nuclei(folder: Path, size: int, names: dict[str, list[int]]) -> None:
    """Write square crops of StarDist's test image as PNG images with a table of counts."""
    from PIL import Image
    from stardist.data import test_image_nuclei_2d

    image, labels = test_image_nuclei_2d(return_mask=True)
    grid = image.shape[0] // size
    for group, indices in names.items():
        (folder / group).mkdir(parents=True, exist_ok=True)
        lines = ["file,count"]
        for index in indices:
            y, x = divmod(index, grid)
            cut = np.s_[y * size : (y + 1) * size, x * size : (x + 1) * size]
            areas = np.bincount(np.asarray(labels[cut]).ravel())[1:]
            name = f"nuclei_{index:02d}.png"
            lines.append(f"{name},{int((areas >= LEAST_COUNTED_PX).sum())}")
            pixels = np.asarray(image[cut], np.uint16)
            Image.fromarray(pixels).save(folder / group / name, optimize=True)
        (folder / group / "counts.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def few_shot_segmentation(canvas: Canvas) -> Workflow:
    """Pretrain on synthetic cells, retrain on four real images, compare on new ones."""
    c = canvas
    made = c.add(
        "generate_synthetic", (80, 200), "150 synthetic images",
        n=150, height_px=160, width_px=160, scene="MIXED",
    )  # fmt: skip
    start = c.add("train", (280, 200), "pretrain on synthetic images", **epochs(8))
    four = c.add("read_images", (80, 380), "four labelled images", folder="four_labelled")
    retrained = c.add("retrain", (480, 260), "retrain on the four", **epochs(FOUR_EPOCHS))
    scratch = c.add(
        "train", (480, 420), "for comparison: from scratch, same steps", **epochs(FOUR_EPOCHS),
        images__validation_fraction=0.0,
    )  # fmt: skip
    new = c.add("read_images", (480, 80), "new images", folder="new")
    first = c.add(
        "predict", (700, 120), "pretrained only, told the size of nuclei", prefix="Pretrained",
        diameter_px=NUCLEI_DIAMETER_PX,
    )  # fmt: skip
    second = c.add("predict", (860, 200), "from scratch", prefix="From scratch")
    third = c.add("predict", (1020, 260), "retrained", prefix="Retrained")
    scored = c.add(
        "score", (1200, 260), "compare on images no model has seen",
        truth_column="Label", prediction_columns=["Pretrained", "From scratch", "Retrained"],
        image_column="Image",
    )  # fmt: skip
    table = c.view((1200, 420), "labels and counts")
    c.wire(made, 1, start, 1)
    c.wire(start, 1, retrained, 1)
    c.wire(four, 1, retrained, 2)
    c.wire(four, 1, scratch, 1)
    c.compare(new, [(start, first), (scratch, second), (retrained, third)], [scored, table])
    return Workflow(
        name="few-shot-segmentation",
        nodes=tuple(c.nodes),
        connections=tuple(c.connections),
        annotations=(
            Annotation(
                "Segment nuclei with four labelled images\n\n"
                "1. Make synthetic images and train on them: the model learns what an object is.\n"
                "2. Retrain on four labelled images of your own. The node leaves out one image "
                "at a time and says in one sentence whether the retrained model is better.\n"
                "3. Apply it to new images. Here their labels are known, too, so that the three "
                "models can be compared.\n\n"
                "Your own images: replace the files in the folder data/four_labelled of this "
                "workflow (subfolders images and labels), and all in data/new by the images to work "
                "on; these need no labels, only the scores are empty without. If your objects are "
                f"not about {NUCLEI_DIAMETER_PX:.0f} px wide, set Object diameter in the node "
                '"pretrained only"; the other models measure it in the labels. Right-click a node '
                "and open its view to see pictures and curves.",
                60,
                -140,
                900,
                180,
            ),
        ),
        description=(
            "Generate synthetic cells, train on them, retrain on four labelled real images, predict "
            "new images and compare the retrained model with one trained from scratch on the same "
            "four images and with the one before retraining. About 4 minutes on a laptop."
        ),
        author=AUTHOR,
        tags=("microscopy", "segmentation", "few-shot", "transfer learning", "StarDist"),
    )


def count_transfer(canvas: Canvas) -> Workflow:
    """Learn to count in generated images, go over to real ones with six counts, compare."""
    c = canvas
    made = c.add(
        "generate_synthetic", (80, 200), "technique A: 120 generated images with their counts",
        n=120, height_px=128, width_px=128, scene="BRIGHT_FIELD",
        diameter_px=NUCLEI_DIAMETER_PX,
    )  # fmt: skip
    start = c.add("train", (280, 200), "learn to count in A", task="COUNT", **epochs(12))
    six = c.add("read_images", (80, 400), "technique B: six counted images", folder="six_counted")
    retrained = c.add("retrain", (480, 260), "go over to B with six counts", **epochs(SIX_EPOCHS))
    alone: dict[str, Any] = {"task": "COUNT", "images__validation_fraction": 0.0}
    scratch = c.add(
        "train", (480, 420), "for comparison: from scratch, same steps", **epochs(SIX_EPOCHS), **alone,
        images__diameter_px=NUCLEI_DIAMETER_PX,
    )  # fmt: skip
    alike = c.add(
        "generate_synthetic", (280, 620), "120 images like the six", n=120, height_px=128,
        width_px=128, scene="FLUORESCENCE_NUCLEI", added={"Reference images": 1},
    )  # fmt: skip
    siamese = c.add(
        "train", (480, 560), "for comparison: the published Twin-VAE, small", **epochs(5), **alone,
        count__architecture="TWIN_VAE", twin_vae__decoder="YES", twin_vae__side_px="64",
        twin_vae__width=0.25, added={"Synthetic images": 1},
    )  # fmt: skip
    new = c.add("read_images", (480, 80), "new images of B", folder="new")
    first = c.add("predict", (700, 120), "trained on A only", count_name="Only A")
    second = c.add("predict", (860, 200), "retrained", count_name="Retrained")
    third = c.add("predict", (1020, 260), "from scratch", count_name="From scratch")
    fourth = c.add("predict", (1180, 320), "Twin-VAE", count_name="Twin-VAE")
    scored = c.add(
        "score", (1360, 260), "compare with the true counts", truth_column="Count",
        prediction_columns=["Only A", "Retrained", "From scratch", "Twin-VAE"],
    )  # fmt: skip
    table = c.view((1360, 420), "counts")
    c.wire(six, 1, alike, 1)
    c.wire(six, 1, siamese, 1)
    c.wire(alike, 1, siamese, 2)
    c.wire(made, 1, start, 1)
    c.wire(start, 1, retrained, 1)
    c.wire(six, 1, retrained, 2)
    c.wire(six, 1, scratch, 1)
    models = [(start, first), (retrained, second), (scratch, third), (siamese, fourth)]
    c.compare(new, models, [scored, table])
    return Workflow(
        name="count-transfer",
        nodes=tuple(c.nodes),
        connections=tuple(c.connections),
        annotations=(
            Annotation(
                "Count objects in a new technique with six counted images\n\n"
                "1. Learn to count in images of technique A. Here A is generated bright field, so "
                "that the workflow needs no second set of real images; your own A would be images "
                "of a technique that you have many counts of.\n"
                "2. Go over to technique B, real fluorescent nuclei, with six images of which only "
                "the number of nuclei is known (counts.csv). The node says in one sentence whether "
                "the retrained model counts better.\n"
                "3. For comparison: one trained from scratch on the same six, and the published "
                "Twin-VAE, which learns from the six and from generated images like them. Its view "
                "shows what it draws of each image, and where images lie in its latent space.\n"
                "4. Count in new images of B and compare all with the true counts.\n\n"
                "Your own images: replace the files in the folder data/six_counted of this workflow "
                "and write their counts into its counts.csv; replace all files in data/new, with its "
                "counts.csv, by the images to count in. If your objects are not about "
                f"{NUCLEI_DIAMETER_PX:.0f} px wide, set Object diameter in the training from "
                "scratch; Retrain finds it by itself. Right-click a node and open its view.",
                60,
                -190,
                900,
                230,
            ),
        ),
        description=(
            "Generate counted images of cells in bright field, learn to count in them, go over to "
            "fluorescence with six real images of which only the number of nuclei is known, and "
            "compare the counts in new images with those of the model before, of one trained from "
            "scratch on the same six images, and of a Twin-VAE. About 5 minutes on a laptop."
        ),
        author=AUTHOR,
        tags=("microscopy", "counting", "few-shot", "transfer learning"),
    )


def labelled_images(data: Path) -> None:
    four = [0, 6, 9, 15]
    rest = [i for i in range(16) if i not in four]
    nuclei_crops(data, 128, {"four_labelled": four, "new": rest})
    how = (
        "the 512 x 512 image in 16 squares of 128 px, numbered row by row; squares "
        f"{', '.join(map(str, four))} are the labelled images, the others the new ones; pixel "
        "values unchanged, label numbers made consecutive"
    )
    text = NUCLEI_SOURCE.format(what="instance labels", how=how)
    (data / "SOURCE.txt").write_text(text, encoding="utf-8")


def counted_images(data: Path) -> None:
    six = [0, 3, 6, 9, 12, 15]
    rest = [i for i in range(16) if i not in six]
    counted_nuclei(data, 128, {"six_counted": six, "new": rest})
    how = (
        "the 512 x 512 image in 16 squares of 128 px, numbered row by row; squares "
        f"{', '.join(map(str, six))} are the counted images to learn from, the others the new "
        "ones; pixel values unchanged. Counts: nuclei in the label image with at least "
        f"{LEAST_COUNTED_PX} px in the square"
    )
    text = NUCLEI_SOURCE.format(what="the number of nuclei", how=how)
    (data / "SOURCE.txt").write_text(text, encoding="utf-8")
