"""The part of the verb *score* that compares folders of stains."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from microshot.cli.calls import DONE, check_folders, resolved
from microshot.cli.telling import scored_by
from microshot.words import how_many

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from microshot.cli.console import Console
    from microshot.metrics.feature_scoring import FeatureScores
    from microshot.metrics.stain_scoring import StainScores

#: What a stain is called where file names do not tell.
ONLY = "stain"
#: Ends of the names of what `microshot translate` writes beside stains.
_BESIDE = ("-mask", "-confidence", "-credibility", "-seeds", "-nuclei")


def score_stains(given: argparse.Namespace, console: Console, *, features: bool) -> int:
    """Compare the stains in two folders, file by file of the same name; `features` also by what
    an analysis measures on them.
    """
    from microshot.cluster import carried_out, perhaps
    from microshot.data.folders import list_images, listed, stem_of
    from microshot.data.matching import by_stem
    from microshot.metrics.stain_scoring import StainScores

    check_folders(given, "stains", list_images)
    true, made = (by_stem(list_images(f), "stain") for f in (given.truth, given.prediction))
    pairs = paired(true, made)
    if not pairs:
        raise ValueError(
            f'No stain in "{given.prediction}" has the name of one in "{given.truth}"; name '
            "measured stains as `microshot translate` names predicted ones, IMAGE_STAIN.tif."
        )
    console.say(f"{how_many(len(pairs), 'stain')} measured and predicted.")
    known = {path for pair in pairs for path in pair}
    alone = [path for path in (*true.values(), *made.values()) if path not in known]
    if alone:
        console.say(f"{how_many(len(alone), 'file')} in only one of the folders: {listed(alone)}.")
    begun = time.perf_counter()
    named = stain_names([stem_of(prediction) for _, prediction in pairs])
    scores: dict[str, StainScores] = {stain: StainScores() for _, stain in named}
    with perhaps(given.scheduler) as cluster:
        every = resolved(pairs) if cluster else pairs
        found = carried_out(cluster, _scored, every, console.progress, "stain")
        for one, (_, stain) in zip(found, named, strict=True):
            scores[stain].rows += one.rows
        where = "" if cluster is None else cluster.line
    summary = [{"stain": s, "images": len(o.rows), **o.summary()} for s, o in scores.items()]
    images = [{"image": n, "stain": s, **row} for s, o in scores.items() for n, row in o.rows]
    lines = [f"{row['stain']}: {_said(row)}" for row in summary]
    values: dict[str, Any] = {"summary": summary, "images": images}
    if features and (measured := _measured(pairs, named, console)) is not None:
        from microshot.cli.scoring_features import as_json, told

        values["features"] = as_json(measured)
        lines += told(measured)
    values["provenance"] = scored_by(given.prediction, time.perf_counter() - begun, where)
    console.result(values, lines)
    return DONE


def paired(true: Mapping[str, Path], made: Mapping[str, Path]) -> list[tuple[Path, Path]]:
    """Return measured and predicted files, both by stem, that are of the same stain.

    Their names are the same, or the same but for the signs between words, of which `microshot
    translate` does not write all. A measured file without stain in its name belongs to the only
    stain that is predicted of its image.
    """
    found = {name: name for name in true if name in made}
    spelled = _by(_words, made)
    wanted = _by(_words, true)
    beside = {name + end for name in made for end in _BESIDE}
    alone = _by(_image, (name for name in made if name not in beside))
    for name in true:
        only = spelled.get(_words(name), []) if len(wanted[_words(name)]) == 1 else []
        for names in (only, alone.get(name, [])):
            if name not in found and len(names) == 1 and names[0] not in found.values():
                found[name] = names[0]
    return [(path, made[found[name]]) for name, path in true.items() if name in found]


def _by(key: Callable[[str], str], names: Iterable[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(key(name), []).append(name)
    return groups


def _words(stem: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", stem))


def _image(stem: str) -> str:
    return stem.rpartition("_")[0]


def stain_names(stems: Sequence[str]) -> list[tuple[str, str]]:
    """Return image and stain that each file name speaks of.

    The stain is what follows the last ``_``, as `microshot generate` and `microshot translate`
    write it, where each of these endings belongs to more than one image, or there is only one
    image; some images may lack some stains. Else all files are of one stain.
    """
    parts = [stem.rpartition("_") for stem in stems]
    images: dict[str, set[str]] = {}
    for image, _, stain in parts:
        images.setdefault(stain, set()).add(image)
    every = set().union(*images.values())
    shared = len(every) == 1 or all(len(own) > 1 for own in images.values())
    if not shared or "" in every or any(stain.isdigit() for stain in images):
        return [(stem, ONLY) for stem in stems]
    return [(image, stain) for image, _, stain in parts]


def _measured(
    pairs: Sequence[tuple[Path, Path]], named: Sequence[tuple[str, str]], console: Console
) -> FeatureScores | None:
    """Measure the images that have every stain, and say what is left out; None if there is none."""
    from microshot.cli.scoring_features import features_of
    from microshot.data.folders import listed

    names = list(dict.fromkeys(stain for _, stain in named))
    if names == [ONLY]:
        console.say(
            "Nothing was measured on the stains, because file names do not tell which they are; "
            "name the files of two or more images IMAGE_STAIN.tif."
        )
        return None
    images: dict[str, dict[str, tuple[Path, Path]]] = {}
    for (image, stain), pair in zip(named, pairs, strict=True):
        images.setdefault(image, {})[stain] = pair
    lacking = [image for image, files in images.items() if len(files) < len(names)]
    if lacking:
        console.say(
            f"Nothing was measured on {how_many(len(lacking), 'image')} without all of "
            f"{', '.join(names)}: {listed(lacking)}."
        )
    whole = {image: files for image, files in images.items() if image not in lacking}
    return features_of(whole, names, _plane, console.progress) if whole else None


def _scored(pair: tuple[Path, Path]) -> StainScores:
    """Return the scores of one stain in one image."""
    from microshot.metrics.stain_scoring import StainScores

    one = StainScores()
    one.add(pair[0].name, *map(_plane, pair))
    return one


def _plane(path: Path) -> Any:
    from microshot.data.read import read_image

    image = read_image(path)
    if image.n_channels != 1:
        raise ValueError(
            f'"{path}": expected one stain in shades of grey, found {image.n_channels} channels; '
            "save every stain as a file of its own."
        )
    return image.pixels[0]


def _said(row: dict[str, Any]) -> str:
    """Write the scores of one stain."""
    known = {k: v for k, v in row.items() if k not in ("stain", "images") and v is not None}
    return ", ".join(f"{key} {value:.3f}" for key, value in known.items()) or "nothing to score"
