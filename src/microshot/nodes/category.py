"""The one category of the extension."""

import knime.extension as knext

CATEGORY = knext.category(
    path="/community",
    level_id="microshot",
    name="Microshot",
    description="Count cells, segment them and translate bright field into fluorescence, with "
    "models that are retrained on a handful of labelled images.",
    icon="icons/category.png",
)
