"""What the Twin-VAE can use and what suits it badly: uncounted images, none generated, many objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microshot.tasks.counting.base import true_count
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microshot.data.dataset import Sample
    from microshot.tasks.base import Intent, Recipe
    from microshot.tasks.hyper import Hyper

#: The paper discards images with more objects.
MOST_OBJECTS = 30


def learns_unlabelled(recipe: Recipe, hyper: Hyper) -> bool:
    """A network that draws what it sees learns from images without a count, too."""
    return bool(recipe.architecture["decoder"]) and getattr(hyper, "reconstruction_factor", 0) > 0


def remarks(samples: Sequence[Sample], unlabelled: Sequence[Sample], intent: Intent) -> list[str]:
    """Return warnings about settings that suit these samples badly, one sentence each.

    Parameters
    ----------
    samples : counted images, of the microscope and synthetic ones.
    unlabelled : uncounted images.
    """
    notes = []
    synthetic = any(s.domain == "synthetic" for s in samples)
    if intent.recipe.preparation["from_scratch"] and not synthetic:
        notes.append(
            "The Twin-VAE is made to learn from synthetic images as well and there are none: connect "
            'Generate Synthetic Images, or choose a kind under "Generate synthetic images" in the '
            "section Twin-VAE (twin_vae.generate) to have them made here."
        )
    many = [s for s in samples if (true_count(s) or 0) > MOST_OBJECTS]
    if many and getattr(intent.settings, "preset", "") == "faithful":
        most = max(true_count(s) or 0 for s in many)
        notes.append(
            f"{how_many(len(many), 'image holds', 'images hold')} more than {MOST_OBJECTS} objects "
            f"(most: {most:g}, first: {many[0].name}): the published method leaves such images "
            "out, so leave them out too or choose the preset fast."
        )
    if unlabelled and not learns_unlabelled(intent.recipe, intent.hyper):
        notes.append(
            f"{how_many(len(unlabelled), 'image')} without a count left out, because the network "
            'learns to count only; set "Reconstruct images" (twin_vae.decoder) to yes to learn '
            "from them too."
        )
    return notes
