"""What people read in a package: its page, its cover, its sources, its licence."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as PILImage

from microshot import __version__
from microshot.export.onnx import OnnxModel, how_to_prepare
from microshot.export.package_texts import cover, references, spdx, text
from microshot.opening import recipe_of
from microshot.tasks.exchange import interface
from models_of_all_kinds import made

UNET, TIRAMISU = "10.1007/978-3-319-24574-4_28", "10.1109/CVPRW.2017.156"
STARDIST, TWIN_VAE = "10.1007/978-3-030-00934-2_30", "10.1007/s00521-022-08115-2"


def page(kind: str, **card) -> str:
    bundle = made(kind, **card)
    recipe = recipe_of(bundle.card)
    model = OnnxModel(b"", interface(bundle.card.task, recipe), recipe, 2.34e-6)
    return text(bundle, model, "prepared so.")


@pytest.mark.parametrize(
    "known",
    ["CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "MIT", "BSD-3-Clause",
     "BSD-2-Clause", "Apache-2.0", "GPL-3.0-only"],
)  # fmt: skip
def test_a_licence_is_known_by_its_identifier_however_it_is_written(known):
    assert spdx(known) == spdx(known.lower().replace("-", " ")) == known


def test_licences_are_known_by_what_people_write_and_others_are_not_guessed():
    assert spdx("Public domain") == spdx("cc0") == "CC0-1.0"
    assert spdx("(CC BY 4)") == "CC-BY-4.0"
    assert spdx("GPL 3.0") == "GPL-3.0-only"
    assert spdx("see source") is spdx("") is spdx("CC BY-ND 4.0") is None


@pytest.mark.parametrize(
    ("kind", "dois"),
    [("stardist", [STARDIST, UNET]), ("foreground", [UNET]), ("density", [UNET]), ("twin-vae", [TWIN_VAE]),
     ("dense-unet", [TIRAMISU]), ("lupi-unet", [TIRAMISU]), ("unet-stains", [UNET])],
)  # fmt: skip
def test_the_publications_that_a_network_comes_from_are_named(kind, dois):
    assert [source["doi"] for source in references(made(kind).card)] == dois


def test_the_page_says_how_a_model_is_used_and_what_it_was_made_of():
    card = {
        "data": {"n_images": 4, "n_objects": 213}, "scores": {"f1": 0.87654, "by": "hand"},
        "thresholds": {"probability": 0.6}, "licence": "",
        "preparation": {"working_diameter_px": 24.0, "image_diameter_px": 31.0},
    }  # fmt: skip
    model = made("stardist", **card).card.id
    assert page("stardist", **card) == (
        "# tiny stardist\n\n"
        f"Task: segment. Made with Microshot {__version__}; model id {model}.\n\n"
        "## How to use it\n"
        "- Input: prepared so. The package's preprocessing does the normalisation.\n"
        "- Scale: bring objects to a diameter of about 24 px first.\n"
        "- Output *probability*: Probability that an object has its middle here.\n"
        "- Output *distance*: Distance in px of the input to the object's edge along each ray; the first "
        "ray points to the right, the next ones turn towards larger y.\n"
        "- Threshold *probability*: 0.6\n"
        "- An output pixel depends on up to 51 px around it: let tiles overlap.\n\n"
        "## Training data\n4 images with 213 objects.\n\n"
        "## Validation\n- f1: 0.8765\n- ONNX against PyTorch: greatest difference 2.3e-06.\n\n"
        "## Licence\nnot stated\n"
    )


def test_of_a_model_that_makes_stains_the_page_says_how_far_tiles_are_to_overlap():
    """Its architecture is 2 levels deep, with 2 layers in a block: 1 + 8 + 16 + 8 px and 2 at the end."""
    assert "- An output pixel depends on up to 35 px around it: let tiles" in page("lupi-unet")


def test_the_page_of_a_model_of_whole_images_says_how_small_they_are_made():
    said = page("twin-vae", name="", data={})
    assert said.startswith("# Microscopy model\n")
    assert (
        "- Scale: bring the longer side of an image to 64 px, and fill up the shorter one" in said
    )
    assert "tiles" not in said
    assert "Unknown number of images with an unknown number of objects." in said
    assert "## Licence\nCC0-1.0\n" in said
    said = page("twin-vae", preparation={"large_images": "windows"})
    assert (
        "- Scale: cut images into squares of 64 px, the last ones filled up with the image's "
        in said
    )
    assert "edge, and add their counts.\n" in said


@pytest.mark.parametrize(
    ("kind", "normalization", "said"),
    [("stardist", {"kind": "zscore", "per": "image"},
      "(batch, 1, height, width), sides divisible by 8; minus the mean, divided by the standard deviation of "
      "each channel of the image."),
     ("twin-vae", {"kind": "minmax"},
      "(batch, 1, height, width), sides 64 px; minimum to 0 and maximum to 1 in each channel of the image."),
     ("foreground", {"kind": "percentile", "low": 3.0, "high": 97.5},
      "(batch, 3, height, width), sides divisible by 4; percentile 3 to 0 and percentile 97.5 to 1 in each "
      "channel of the image."),
     ("foreground", {"kind": "percentile"},
      "(batch, 3, height, width), sides divisible by 4; percentile 1 to 0 and percentile 99.8 to 1 in each "
      "channel of the image."),
     ("stardist", {"kind": "zscore", "per": "dataset", "offset": [9.0], "scale": [2.0]},
      "(batch, 1, height, width), sides divisible by 8; minus the mean, divided by the standard deviation of "
      "each channel of the data set (numbers in the metadata).")],
)  # fmt: skip
def test_one_sentence_says_how_an_image_is_prepared(kind, normalization, said):
    bundle = made(kind, normalization)
    known = interface(bundle.card.task, recipe_of(bundle.card))
    assert how_to_prepare(bundle, known) == f"float32 {said}"


def pictures(image, output) -> tuple[np.ndarray, np.ndarray]:
    """Return the left and the right picture of a cover, one value per 128 px."""
    both = np.asarray(PILImage.open(io.BytesIO(cover(np.asarray(image), np.asarray(output)))))
    assert both.shape == (256, 512)
    return both[64:256:128, 64:256:128], both[64:256:128, 320:512:128]


def test_the_cover_shows_an_image_beside_the_first_thing_the_network_says_of_it():
    left, right = pictures(
        [[10.0, 20.0], [30.0, 50.0]], [[[0.0, 1.0], [0.5, 1.0]], [[9, 9], [9, 0]]]
    )
    assert left.tolist() == [[0, 63], [127, 255]]
    assert right.tolist() == [[0, 255], [127, 255]]
    left, right = pictures(np.full((2, 2), 7.0), [2.0, 3.0])
    assert left.tolist() == [[0, 0], [0, 0]]
    assert right.tolist() == [[0, 0], [255, 255]]
