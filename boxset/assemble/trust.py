"""How far the test set can be trusted: how exactly it measures, where its pictures are from, who drew its boxes, and what nobody looked for."""

from collections import Counter
from collections.abc import Collection, Mapping
from math import sqrt
from typing import Any

from boxset.dataset.coco import Coco, CocoImage
from boxset.dataset.records import CRAWL, PEOPLE
from boxset.wording import counted, noun

Z = 1.959964  # of a 95 % interval
DIGITS = 3


def half_width(boxes: int) -> float:
    """Return half the width of the 95 % interval of a share, such as recall, that is measured on so many boxes, where it is widest.

    Wilson's score interval: z / (1 + z²/n) · √(p(1 - p)/n + z²/4n²); at p = 0.5 that is z / (2 √(n + z²)). E. B. Wilson, Probable Inference,
    the Law of Succession, and Statistical Inference, JASA 22 (1927). It takes boxes as independent; those of one picture are not, so it is a floor.
    """
    return Z / (2 * sqrt(boxes + Z * Z))


def trust(coco: Coco, test: Collection[int], queries: Mapping[str, str]) -> dict[str, Any]:
    """Return the figures of the images that are in test; pictures but for `half_width`."""
    images = [image for image in coco.images if image.id in test]
    boxes = [annotation for annotation in coco.annotations if annotation.image_id in test and not annotation.iscrowd]
    counts = Counter(annotation.category_id for annotation in boxes)
    drawn: dict[int, set[bool]] = {}
    for annotation in boxes:
        drawn.setdefault(annotation.image_id, set()).add(annotation.source == PEOPLE)
    who = Counter(_who(image, drawn.get(image.id, set())) for image in images)
    every = {category.id for category in coco.categories}
    return {
        "half_width": {category.key: round(half_width(counts[category.id]), DIGITS) for category in coco.categories},
        "sources": dict(sorted(Counter(image.source for image in images).items())),
        "queries": len({queries[image.sha256] for image in images if image.sha256 in queries}),
        "labelled_by": {name: who[name] for name in ("people", "public", "both")},
        "known_for_all": sum(every <= {*image.exhaustive_category_ids, *image.neg_category_ids} for image in images),
    }


def with_names(metrics: Mapping[str, Any], names: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the data set's metrics with its categories under other names, for what shows them. `names`: key → name."""

    def named(counts: Mapping[str, Any]) -> dict[str, Any]:
        return {names.get(key, key): count for key, count in counts.items()}

    by_split = ("boxes_by_split", "short_of_min_boxes")
    changed: dict[str, Any] = {name: {split: named(counts) for split, counts in metrics[name].items()} for name in by_split if name in metrics}
    changed |= {"boxes": named(metrics["boxes"])} if "boxes" in metrics else {}
    inner = {"test": "half_width", "may_test": "boxes"}
    changed |= {name: {**metrics[name], part: named(metrics[name][part])} for name, part in inner.items() if name in metrics}
    if held := metrics.get("frozen"):
        changed["frozen"] = {**held, "unknown_categories": [names.get(key, key) for key in held["unknown_categories"]]}
    return {**metrics, **changed}


def _who(image: CocoImage, drawn: set[bool]) -> str:
    """Return who labelled a picture; one of the crawl without a box was looked at by people."""
    if len(drawn) == 2:
        return "both"
    return "people" if (drawn == {True} if drawn else image.source == CRAWL) else "public"


def trust_words(metrics: Mapping[str, Any]) -> list[str]:
    """Say what a reader of a score should know, from the data set's metrics; nothing where there is nothing to say."""
    test, images = metrics.get("test", {}), int(metrics.get("images", {}).get("test", 0))
    if not test:
        return []
    if not images:
        return ["test is empty: nothing can be measured"]
    return [*_missing(metrics), *_one_origin(test, images), *_unknown(test, images)]


def _missing(metrics: Mapping[str, Any]) -> list[str]:
    by_split, short = metrics.get("boxes_by_split", {}), metrics.get("short_of_min_boxes", {}).get("test", {})
    said = {*short, *metrics.get("frozen", {}).get("unknown_categories", ())}
    none = [c for c, boxes in by_split.get("test", {}).items() if not boxes and c not in said and metrics["boxes"].get(c)]
    return [f"{category}: test has no box of it, so nothing is measured of it" for category in none]


def _one_origin(test: Mapping[str, Any], images: int) -> list[str]:
    if images < 2 or len(test["sources"]) != 1:
        return []
    (source,) = test["sources"]
    if source == CRAWL and test["queries"] == 1:
        return [f"all {counted(images, 'picture')} of test were found by one query: a score says little of others"]
    return [f"all {counted(images, 'picture')} of test are from {source}: a score says little of pictures from elsewhere"]


def _unknown(test: Mapping[str, Any], images: int) -> list[str]:
    known = test["known_for_all"]
    if known == images:
        return []
    if not known:
        return ["no picture of test is known for every category: nobody looked for some, so a right find may count as a mistake"]
    rest = f"in the other {images - known:,} nobody looked for some category, so a right find may count as a mistake"
    return [f"{known:,} of the {counted(images, 'picture')} of test {noun(known, 'is', 'are')} known for every category; {rest}"]


def frozen_words(metrics: Mapping[str, Any]) -> list[str]:
    """Say how the test set stands to the frozen version that it is held to; nothing where it is that version and all is known of it."""
    held = metrics.get("frozen", {})
    if not held:
        return []
    name, new = held["name"], held["unknown_categories"]
    changed, against = held["changed"], held["against_rules"]
    said = {
        f"test differs from frozen {name}: {changes_words(changed)}. The frozen ones stay; a new version takes the changes in": changed["boxes"],
        f"{counted(held['merged_no_more'], 'picture')} of frozen {name} would be left out today (`boxset explain` says why); frozen ones stay": held["merged_no_more"],
        f"{counted(held['denied'], 'picture')} of frozen {name} left test, as a licence keeps them out now or they were taken down: scores no longer compare": held["denied"],
        f"{counted(held['removed_boxes'], 'box')} of frozen {name} left test, as their category is no longer here": held["removed_boxes"],
        f"{', '.join(new)}: newer than frozen {name}, whose pictures nobody looked through for it; test cannot measure it until a new version": len(new),
        f"{counted(against, 'picture')} of frozen {name} {noun(against, 'is', 'are')} from sources that split.never_test or test_only_from keep out; frozen ones stay": against,
    }
    return [sentence for sentence, holds in said.items() if holds]


def changes_words(changed: Mapping[str, int]) -> str:
    """Say how many boxes changed in how many pictures."""
    boxes, pictures = changed["boxes"], changed["images"]
    return f"{counted(boxes, 'box')} in {counted(pictures, 'picture')}"
