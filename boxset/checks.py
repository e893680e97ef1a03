"""All that can be found wrong with a project's parameters before anything runs: files, addresses, classes, ids in git's history."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from difflib import SequenceMatcher
from functools import reduce
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxset.assemble.trust import frozen_words
from boxset.dataset.frozen import frozen_names, frozen_path, read_frozen
from boxset.endpoints import needs_contact
from boxset.errors import BoxsetError, InputError, ParamsError, did_you_mean
from boxset.files import read_json, read_text
from boxset.history import check_ids_against_history, past_claims
from boxset.labeling.price import TIERS_MILLS, mills
from boxset.params import (
    FORMATS,
    NO_CONTACT,
    NOT_A_SOURCE,
    UNSENDABLE,
    Category,
    Params,
    Price,
    Source,
    checked,
    is_sendable,
    queries_of,
    same_terms,
    second_ids,
    terms_of,
)
from boxset.passedover import passed_over
from boxset.resolve import check_world
from boxset.strict import Fault
from boxset.web.suppliers.url_lists import first_of, summary_of
from boxset.wording import counted, dollars, noun
from boxset.yaml12 import read_yaml

if TYPE_CHECKING:
    from boxset.labeling.ledger import Ledger

OPENVERSE_LICENCES = ("cc0", "pdm", "by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd")

BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?")
WEB = re.compile(r"https?://([^/\s\[\]]+|\[[0-9A-Fa-f:.]+\](:\d+)?)(/\S*)?")
CONTACT = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|https?://\S+\.\S+")
ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/?[\w+=,.@/-]+")
WORKTEAM = re.compile(r"arn:aws[a-z-]*:sagemaker:([a-z0-9-]*):\d{12}:workteam/(private-crowd|vendor-crowd|public-crowd)/\S+")
ALIKE = 0.85  # of two names, as difflib measures it: hammer and hammers, wrench and wrenches

Check = Callable[[Params, Path], Iterator[Fault]]


def problems(root: Path = Path()) -> tuple[Params | None, list[Fault]]:
    """Return the parameters of a project, where they are well formed, and everything that is wrong with them.

    Raises InputError or ParamsError where the file cannot be read at all.
    """
    value = read_yaml(root / "params.yaml")
    params, found = checked(value)
    if params is None:
        return None, found
    found = [*found, *_left_out(value, root)]
    past = list(_past(params, root))
    return params, [*_with_free_ids(params, root, found, past), *(fault for check in CHECKS for fault in check(params, root)), *past]


def _left_out(value: Any, root: Path) -> Iterator[Fault]:
    """Name the keys that a stage of dvc.yaml reads and params.yaml leaves to their defaults: DVC does not know these, and runs nothing."""
    path = root / "dvc.yaml"
    stages = (read_yaml(path) or {}).get("stages") or {} if path.exists() else {}
    wanted = {str(key): name for name, stage in stages.items() for key in (stage.get("do") or stage).get("params") or () if not isinstance(key, dict)}
    for key, stage in wanted.items():
        held = reduce(lambda inner, part: inner.get(part) if isinstance(inner, dict) else None, key.split("."), value)
        if held is None:
            section, _, inner = key.partition(".")
            yield Fault(key, f"missing, and dvc.yaml's {stage} names it: DVC runs nothing", f"Write {section}: {{{f'{inner}: …' if inner else ''}}}")


def _with_free_ids(params: Params, root: Path, found: list[Fault], past: list[Fault]) -> list[Fault]:
    """Say of two categories with one id which changes, and to what: git's history where it knows, else the second."""
    seconds = {f"categories.{name}.id" for name in second_ids(params)}
    if any(fault.key.startswith("categories.") for fault in past):
        return [fault for fault in found if fault.key not in seconds]
    free = max([*past_claims(root)[0], *(category.id for category in params.categories.values())], default=0) + 1 if seconds else 0
    do = f"Give it {free}, which none has had"
    return [replace(fault, do=do) if fault.key in seconds else fault for fault in found]


def notes(params: Params, root: Path = Path()) -> list[str]:
    """Return what is not wrong, and still perhaps not meant."""
    of_params = (_names_alike, _research_only, _without_a_place, _fee_of_another, _nothing_to_do)
    of_project = (_odd_rows, _paid_and_gone, _test_set)
    return [*(note for look in of_params for note in look(params)), *(note for look in of_project for note in look(params, root))]


def _contact(params: Params, _: Path) -> Iterator[Fault]:
    contact = params.project.contact
    if contact and not CONTACT.fullmatch(contact):
        yield Fault("project.contact", f"{contact!r} is neither an e-mail address nor the address of a page", "Write one that reaches you")
    elif not is_sendable(contact):
        yield Fault("project.contact", f"{contact!r}: {UNSENDABLE[0]}", UNSENDABLE[1])
    if not contact and needs_contact(params):
        yield Fault("project.contact", *NO_CONTACT)


def _categories(params: Params, root: Path) -> Iterator[Fault]:
    for name, category in params.categories.items():
        key = f"categories.{name}"
        yield from _numbers(category, key)
        yield from _empty_texts(category, key)
        yield from _no_text(category.guideline, f"{key}.guideline", root)


def _numbers(category: Category, key: str) -> Iterator[Fault]:
    if category.max and category.max < category.target:
        do = "Raise it, or lower the target: else boxes would be bought to be left out"
        yield Fault(f"{key}.max", f"{category.max} is less than the target of {category.target}", do)


def _empty_texts(category: Category, key: str) -> Iterator[Fault]:
    lists = {
        "queries": tuple(query.q for query in queries_of(category)),
        "reject_words": category.reject_words,
        "confusers": category.confusers,
        **{f"classes.{source}": tuple(term.name for term in terms_of(category, source)) for source in category.classes},
    }
    for name, words in lists.items():
        for position, word in enumerate(words):
            if not word.strip():
                yield Fault(f"{key}.{name}[{position}]", "an empty text", "Delete it")


def _sources(params: Params, root: Path) -> Iterator[Fault]:
    for name, source in params.sources.items():
        yield from _unreadable(source, f"sources.{name}", root)


def _unreadable(source: Source, key: str, root: Path) -> Iterator[Fault]:
    if not source.on:
        return
    places = {f"{key}.path": source.path, **{f"{key}.files.{name}": place for name, place in source.files.items()}}
    for where, place in places.items():
        if place and "://" not in place and not (root / place).exists():
            yield Fault(where, f"{place} is not there", "Correct the path, or set `on: false`")


def _missing_file(path: str, key: str, root: Path) -> Iterator[Fault]:
    if path and not (root / path).is_file():
        yield Fault(key, f"{path} is not there", "Write it, or correct the path; it is taken from the project's folder")


def _no_text(path: str, key: str, root: Path) -> Iterator[Fault]:
    yield from _missing_file(path, key, root)
    try:
        if path and (root / path).is_file():
            read_text(root / path)
    except InputError as err:
        yield Fault(key, f"{path} is {err.what}", err.do)


def _texts(params: Params, root: Path) -> Iterator[Fault]:
    yield from _no_text(params.labeler.instructions, "labeler.instructions", root)
    for position, path in enumerate(params.crawl.url_lists):
        yield from _missing_file(path, f"crawl.url_lists[{position}]", root)


def _addresses(params: Params, root: Path) -> Iterator[Fault]:
    for key, bucket in (("project.bucket", params.project.bucket), ("labeler.bucket", params.labeler.bucket)):
        if bucket and not BUCKET.fullmatch(bucket):
            yield Fault(key, f"{bucket!r} is not of the form s3://bucket/prefix", "Buckets have small letters, digits, dots and hyphens")
    for key, url in (("crawl.searxng.url", params.crawl.searxng.url), ("labeler.url", params.labeler.url)):
        is_needed = key == "crawl.searxng.url" and params.crawl.searxng.on
        if (url or is_needed) and not WEB.fullmatch(url):
            yield Fault(key, f"{url!r} is not an address", "Write http://… or https://…")
    for prefix, mirror in params.mirrors.items():
        yield from _mirror(prefix, mirror, root)


def _mirror(prefix: str, mirror: str, root: Path) -> Iterator[Fault]:
    key = f"mirrors.{prefix}"
    if "://" not in prefix:
        yield Fault(key, "a mirror stands in for addresses that begin with http://, https:// or s3://", "Write the beginning of the address")
    if prefix.endswith("/") != mirror.endswith("/"):
        yield Fault(key, f"one of {prefix} and {mirror} ends with / and the other does not", "End both with /")
    if "://" not in mirror and not (root / mirror).exists():
        yield Fault(key, f"{mirror} is not there", "Correct the path, or delete the line")


def _openverse(params: Params, _: Path) -> Iterator[Fault]:
    for name in params.crawl.openverse.licences:
        if name not in OPENVERSE_LICENCES:
            hint = did_you_mean(name, OPENVERSE_LICENCES)
            yield Fault("crawl.openverse.licences", f"Openverse has no licence {name!r}{hint}", f"One of {', '.join(OPENVERSE_LICENCES)}")


def _passed_over(params: Params, _: Path) -> Iterator[Fault]:
    return passed_over(params)


def _trust(params: Params, _: Path) -> Iterator[Fault]:
    known = {*params.sources, *FORMATS, *NOT_A_SOURCE} - {"review"}  # its place is fixed: behind `label`, before all others
    for name in params.merge.trust:
        if name not in known:
            yield Fault("merge.trust", f"there is no source {name}{did_you_mean(name, known)}", "Name a key of `sources`, crawl or label")


def _labeler(params: Params, _: Path) -> Iterator[Fault]:
    labeler = params.labeler
    if labeler.role_arn and not ROLE.fullmatch(labeler.role_arn):
        yield Fault("labeler.role_arn", f"{labeler.role_arn!r} is not a role", "It looks like arn:aws:iam::123456789012:role/NAME")
    if labeler.workteam_arn and not WORKTEAM.fullmatch(labeler.workteam_arn):
        do = "It looks like arn:aws:sagemaker:REGION:123456789012:workteam/private-crowd/NAME"
        yield Fault("labeler.workteam_arn", f"{labeler.workteam_arn!r} is not a work team", do)
    if labeler.backend == "ground_truth":
        yield from _ground_truth(params)
    if labeler.backend == "label_studio" and not labeler.url:
        yield Fault("labeler.url", "empty, and the backend is label_studio", "Write the address of your Label Studio")


def _ground_truth(params: Params) -> Iterator[Fault]:
    from boxset.labeling.ground_truth import LAMBDA_ACCOUNTS

    labeler = params.labeler
    if labeler.region not in LAMBDA_ACCOUNTS:
        hint = did_you_mean(labeler.region, LAMBDA_ACCOUNTS)
        yield Fault("labeler.region", f"Ground Truth is not in {labeler.region!r}{hint}", f"One of {', '.join(LAMBDA_ACCOUNTS)}")
    needed = {"labeler.bucket": labeler.bucket or params.project.bucket, "labeler.role_arn": labeler.role_arn}
    needed |= {} if labeler.public else {"labeler.workteam_arn": labeler.workteam_arn}
    for key, value in needed.items():
        if not value:
            yield Fault(key, "empty, and the backend is ground_truth", f"`boxset check --explain {key}` says what it is")
    team = WORKTEAM.fullmatch(labeler.workteam_arn)
    if team and team[1] != labeler.region:
        yield Fault("labeler.workteam_arn", f"the team is in {team[1]}, and labeler.region is {labeler.region}", "Both must be the same")
    if team and (team[2] == "public-crowd") != labeler.public:
        what = f"labeler.public is {str(labeler.public).lower()}, and this is {'not ' if labeler.public else ''}the public workforce"
        yield Fault("labeler.workteam_arn", what, "Decide whether strangers may see the pictures")
    if labeler.public:
        yield from _public(params)


def _public(params: Params) -> Iterator[Fault]:
    if not params.labeler.free_of_personal_data:
        yield Fault("labeler.free_of_personal_data", "false, and the public workforce is chosen", "State true only if no picture shows personal data")
    paid = mills(params.label.price.usd_per_task)
    if paid not in TIERS_MILLS:
        near = min(TIERS_MILLS, key=lambda tier: abs(tier - paid))
        do = f"AWS's tiers: {', '.join(dollars(tier, to_the_mill=True) for tier in TIERS_MILLS)}"
        yield Fault("label.price.usd_per_task", f"{dollars(paid, to_the_mill=True)} is none of AWS's prices; the nearest is {dollars(near, to_the_mill=True)}", do)


def _classes(params: Params, root: Path) -> Iterator[Fault]:
    """Every class against the indexes that there are; a source that has none yet is not looked at."""
    for name, source in params.sources.items():
        index = root / "data/index" / name
        if source.on and (index / "classes.parquet").exists():
            yield from _classes_in(params, name, index)


def _classes_in(params: Params, source: str, index: Path) -> Iterator[Fault]:
    from boxset.sources.classes import FREE, Vocabulary, shared_classes

    vocabulary, found = Vocabulary.of(index), dict[str, set[str]]()
    for name, category in params.categories.items():
        for term in terms_of(category, source) if vocabulary.rows else ():
            try:
                found.setdefault(name, set()).update(vocabulary.find(term, where=f"categories.{name}.classes.{source}"))
            except ParamsError as err:
                yield _as_fault(err)
    told = {(one, other) for one, other, _ in same_terms(params, source)}
    for shared in shared_classes(found, free=(params.sources[source].format or source) in FREE):
        if (shared.one, shared.other) not in told:
            yield Fault(f"categories.{shared.other}.classes.{source}", *shared.fault(vocabulary.rows))


def _past(params: Params, root: Path) -> Iterator[Fault]:
    try:
        check_world(params, root / "data/resolve", lock=root / "dvc.lock")
        check_ids_against_history(params, root)
    except BoxsetError as err:
        yield _as_fault(err)
        return
    yield from _bought_ids(params, root)


def _bought_ids(params: Params, root: Path) -> Iterator[Fault]:
    from boxset.labeling.standing import check_ids

    try:
        check_ids(_ledger(root), {name: category.id for name, category in params.categories.items()})
    except BoxsetError as err:
        yield Fault("categories", err.what, err.do)


def _ledger(root: Path) -> "Ledger":
    """Return the ledger; without any purchase where it cannot be read, which `doctor` says."""
    from boxset.labeling.ledger import Ledger, read_ledger

    try:
        return read_ledger(root / "ledger")
    except InputError:
        return Ledger({}, "")


def _as_fault(err: BoxsetError) -> Fault:
    key, colon, what = err.what.partition(": ")
    return Fault(key, what, err.do) if colon and " " not in key else Fault("", err.what, err.do)


def _url_lists(params: Params, root: Path) -> Iterator[Fault]:
    for name in params.crawl.url_lists:
        try:
            if (root / name).exists():
                summary_of(root / name)
        except BoxsetError as err:
            yield Fault("crawl.url_lists", f"{err.where.removeprefix(f'{root}/')}: {err.what}", err.do)


def _without_queries(params: Params, root: Path) -> Iterator[Fault]:
    """A category without queries needs a list that has addresses for it; one that cannot be read has its own fault."""
    wanting = {name: category.crawl_images for name, category in params.categories.items() if category.crawl_images and not category.queries}
    listed = _listed(params, root) if wanting else {}
    for name, count in wanting.items():
        if name in listed:
            continue
        unless = ", and no row of crawl.url_lists is for it" if params.crawl.url_lists else ""
        what = f"empty, and {counted(count, 'picture is', 'pictures are')} wanted from the crawl{unless}"
        yield Fault(f"categories.{name}.queries", what, "Write one, name a list of addresses in crawl.url_lists, or set crawl_images: 0")


def _listed(params: Params, root: Path) -> dict[str, int]:
    """Return the addresses that the lists have for each category."""
    found: Counter[str] = Counter()
    for name in params.crawl.url_lists:
        with suppress(BoxsetError):
            found.update(summary_of(root / name).rows)
    return found


def _frozen(params: Params, root: Path) -> Iterator[Fault]:
    """Name a frozen test set that is not there or was edited; the one that is held stands with its key."""
    held = params.split.freeze_test
    for name in sorted({*frozen_names(root), *([held] if held else [])}):
        try:
            read_frozen(frozen_path(name, root))
        except BoxsetError as err:
            where = err.where.removeprefix(f"{root}/")
            yield Fault("split.freeze_test", f"{where}: {err.what}", err.do) if name == held else Fault(where, err.what, err.do)


CHECKS: tuple[Check, ...] = (_contact, _without_queries, _categories, _passed_over, _sources, _texts, _addresses, _openverse, _trust, _labeler, _classes, _url_lists, _frozen)


def _names_alike(params: Params) -> Iterator[str]:
    for one, other in combinations(sorted(params.categories), 2):
        if SequenceMatcher(None, one.replace("_", ""), other.replace("_", "")).ratio() >= ALIKE:
            yield f"categories {one} and {other} have nearly the same name: one thing under two names teaches a detector to doubt"


def _research_only(params: Params) -> Iterator[str]:
    for name, source in params.sources.items():
        if params.project.use == "commercial" and source.on and (source.format or name) == "imagenet":
            yield f"sources.{name}: its terms are research only, so nothing of it enters under use: commercial"


def _without_a_place(params: Params) -> Iterator[str]:
    for name, source in params.sources.items():
        if source.on and (source.format or name) == "local" and not source.path and not source.files:
            yield f"sources.{name}: it has no path, so it is skipped"


def _fee_of_another(params: Params) -> Iterator[str]:
    price = params.label.price
    if params.label.budget_usd and params.labeler.backend != "ground_truth" and price.usd_service_fee == Price().usd_service_fee:
        what = f"usd_service_fee counts {price.usd_service_fee:g} USD a picture, as Ground Truth asks it"
        yield f"label.price: {what}; with backend: {params.labeler.backend} write 0, or what your service asks"


def _nothing_to_do(params: Params) -> Iterator[str]:
    suppliers = params.crawl.searxng.on or params.crawl.openverse.on or params.crawl.commons.on or params.crawl.url_lists
    if not suppliers and any(category.crawl_images for category in params.categories.values()):
        yield "crawl: every supplier is off, so nothing is crawled"
    elif params.crawl.searxng.on and params.licences.unknown == "deny" and any(category.crawl_images for category in params.categories.values()):
        yield "licences.unknown: SearXNG states no licence, so deny keeps out all that it finds; `crawl.searxng: {on: false}` saves asking it"
    for name, category in params.categories.items():
        if category.queries and not category.crawl_images:
            yield f"categories.{name}: it has queries and crawl_images is 0, so nothing is crawled"
        silent = [s for s, source in params.sources.items() if source.on and (source.format or s) != "local" and s not in category.classes]
        if silent:
            yield f"categories.{name}.classes: nothing said of {', '.join(silent)}; `boxset coverage {name}` finds them, [] says: none"


def _odd_rows(params: Params, root: Path) -> Iterator[str]:
    """Yield rows of address lists that cannot be used, and categories in them that are none."""
    for name in params.crawl.url_lists:
        try:
            summary = summary_of(root / name)
        except BoxsetError:
            continue
        if summary.bad:
            yield f"{name}: {counted(len(summary.bad), 'row')} cannot be used: {first_of(summary.bad)}"
        for category, count in sorted(summary.rows.items()):
            if category not in params.categories:
                yield f"{name}: {counted(count, 'row is', 'rows are')} for {category!r}, which is no category{did_you_mean(category, params.categories)}"


def _paid_and_gone(params: Params, root: Path) -> Iterator[str]:
    """Yield the categories that people were paid to draw and that are none any more, and what goes with them."""
    jobs = _ledger(root).jobs.values()
    bought = {(name, number) for job in jobs for name, number in job.reserved.categories.items() if job.answers}
    for name, number in sorted(bought - {(name, category.id) for name, category in params.categories.items()}):
        boxes = sum(drawn.category_id == number for job in jobs for answer in job.answers.values() for drawn in answer.boxes)
        pictures = len({asked.sha256 for job in jobs for asked in job.asked if asked.found_for == name and asked.sha256 in job.answers})
        stay = noun(boxes, "it stays in ledger/, and comes back", "they stay in ledger/, and come back")
        gone = f"people drew {counted(boxes, 'box')} of {name} (id {number}), which is no category any more: {stay} with name and id"
        leave = noun(pictures, "leaves the data set with all its boxes, unless another crawl has it", "leave the data set with all their boxes, unless another crawl has them")
        crawled = f". `dvc repro` removes data/crawl/{name}: {counted(pictures, 'paid picture was', 'paid pictures were')} found for it, and {leave}"
        yield f"categories: {gone}{crawled if pictures else ''}"


def _test_set(params: Params, root: Path) -> Iterator[str]:
    """Yield what the last build says of the frozen test set, where it is the one that is held now."""
    path = root / "metrics/dataset.json"
    try:
        metrics = read_json(path, dict[str, Any]) if path.exists() and params.split.freeze_test else {}
    except BoxsetError:
        return
    if metrics.get("frozen", {}).get("name") == params.split.freeze_test:
        yield from frozen_words(metrics)
