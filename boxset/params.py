"""`params.yaml`: its types, defaults and meanings, checked strictly before anything runs.

Each key's meaning, unit and reason for its default stand beside it here and nowhere else; `boxset check --explain KEY` prints them.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import yaml
from msgspec import Meta

from boxset.errors import InputError, ParamsError, did_you_mean

T = TypeVar("T")

NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
FORMATS = ("open_images", "imagenet", "visual_genome", "coco", "lvis", "local")

World = Literal["embedded", "live"]
Use = Literal["commercial", "research"]
FlagPolicy = Literal["crowd", "keep", "drop"]
UnknownPolicy = Literal["allow", "deny"]


def _about(text: str, **limits: Any) -> Meta:
    return Meta(description=text, **limits)


Count = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section: immutable, and strict about unknown keys."""


class Project(Section, frozen=True):
    """Who and what this is."""

    name: Annotated[str, _about("Name of the data set, as it stands in its card and in `info`.", min_length=1)]
    use: Annotated[Use, _about("What the data set is for; decides which licences and sources may enter. Default: the stricter.")] = "commercial"
    contact: Annotated[str, _about("An e-mail address or page, sent to every site that is fetched from; no live crawl without one.")] = ""
    bucket: Annotated[str, _about("s3://bucket/prefix for what a team shares: labelling jobs and purchase claims. Empty: this machine only.")] = ""


class ClassTerm(Section, frozen=True):
    """A source's class, with its children."""

    name: Annotated[str, _about("The class: its id, name, synonym or synset; `id:…`, `name:…`, `synset:…` say which.", min_length=1)]
    children: Annotated[bool, _about("Take the classes below it in the source's hierarchy too. Default: no, they are often other things.")] = False


class Query(Section, frozen=True):
    """One search, in one language."""

    q: Annotated[str, _about("What to search for.", min_length=1, max_length=200)]
    lang: Annotated[str, _about("Language of the search, as SearXNG spells it (`fr`, `de`, `all`).")] = "all"


class Category(Section, frozen=True):
    """One thing that the detector shall find."""

    id: Annotated[int, _about("The category's id in the data set, from 1; never reused, over the whole git history.", ge=1)]
    target: Annotated[int, _about("Boxes wanted over all splits; the purchase plan stops there.", ge=0)]
    max: Annotated[int, _about("Boxes at most, where `balance.mode` is `select`. 0: no limit.", ge=0)] = 0
    supercategory: Annotated[str, _about("COCO's supercategory.")] = "object"
    classes: Annotated[
        dict[str, tuple[str | ClassTerm, ...]],
        _about("For each source its classes for this category; `[]` says that it is known to have none."),
    ] = {}
    queries: Annotated[tuple[str | Query, ...], _about("What to search for when pictures are crawled. None: nothing is crawled.")] = ()
    crawl_images: Annotated[int, _about("Good pictures wanted from the crawl; raising it goes on from where it stopped.", ge=0)] = 0
    reject_words: Annotated[tuple[str, ...], _about("A hit with one of these words in its title or address is left out before download.")] = ()
    confusers: Annotated[tuple[str, ...], _about("Searches for things that look alike; their pictures become hard negatives once verified.")] = ()
    guideline: Annotated[str, _about("A Markdown file that says what counts; shown to workers and copied into the data card.")] = ""


class FlagPolicies(Section, frozen=True):
    """What happens to boxes with a flag: `crowd` (kept as iscrowd 1), `keep` (kept as any other), `drop` (left out, counted)."""

    group_of: Annotated[FlagPolicy, _about("One box round many objects. Default crowd: evaluators and trainers know how to ignore it.")] = "crowd"
    iscrowd: Annotated[FlagPolicy, _about("COCO's own crowds.")] = "crowd"
    depiction: Annotated[FlagPolicy, _about("A drawing or picture of the thing. Default keep: the flag stands on the box.")] = "keep"
    occluded: Annotated[FlagPolicy, _about("Partly hidden by something else.")] = "keep"
    truncated: Annotated[FlagPolicy, _about("Cut by the picture's edge.")] = "keep"
    inside: Annotated[FlagPolicy, _about("Photographed from inside the object.")] = "keep"


class Source(Section, frozen=True):
    """A public annotated data set, or one's own pictures."""

    on: Annotated[bool, _about("Off: skipped with one line; what it had brought leaves the data set.")] = True
    format: Annotated[str, _about("Which reader: open_images, imagenet, visual_genome, coco, lvis or local. Default: the source's name.")] = ""
    path: Annotated[str, _about("Folder, archive or address that holds the source's files; empty: their public addresses.")] = ""
    files: Annotated[dict[str, str], _about("Another path or address for single files, by the reader's names for them.")] = {}
    sha256: Annotated[dict[str, str], _about("Expected SHA-256 of single files, by the same names; a file that differs is refused.")] = {}
    splits: Annotated[tuple[str, ...], _about("Which of the source's splits to read. Default: all that it has.")] = ()
    max_images_per_category: Annotated[int, _about("Pictures taken for one category at the most; 0: no limit.", ge=0)] = 4000
    negatives: Annotated[int, _about("Pictures to take in which a category is verified absent, per category. Default 0.", ge=0)] = 0
    flags: Annotated[FlagPolicies, _about("What happens to boxes with a flag.")] = FlagPolicies()
    max_lost_share: Annotated[float, _about("Share of rows that may be unreadable before the source fails. Default: one in fifty.", ge=0, le=1)] = 0.02
    max_missing_share: Annotated[float, _about("Share of pictures that may be missing before the source fails.", ge=0, le=1)] = 0.25
    annotations: Annotated[str, _about("local: a COCO file, `yolo`, or `none` (the pictures go to labelling). Default: found by looking.")] = ""
    license: Annotated[str, _about("local: SPDX identifier for all its pictures, e.g. LicenseRef-own.")] = ""
    category: Annotated[str, _about("local without annotations: the category its pictures are asked about first.")] = ""
    retry: Annotated[int, _about("Raise it to try again the pictures that could not be had.", ge=0)] = 0


class Licences(Section, frozen=True):
    """Which licences may enter; SPDX identifiers, `*` stands for anything."""

    allow: Annotated[tuple[str, ...], _about("Only these. Empty: all that `use` permits.")] = ()
    deny: Annotated[tuple[str, ...], _about("Never these. Under `use: commercial` NC licences and research-only sources are out anyway.")] = ()
    unknown: Annotated[UnknownPolicy, _about("A picture whose licence nobody states. Default allow, and marked in ATTRIBUTION.csv.")] = "allow"


class Searxng(Section, frozen=True):
    """A SearXNG instance of one's own."""

    on: bool = True
    url: Annotated[str, _about("Base address of the instance; its JSON format must be on (docs/searxng.md).")] = "http://localhost:8888"
    engines: Annotated[tuple[str, ...], _about("Engine names as its /config has them. Empty: its image category.")] = ()
    pages: Annotated[int, _about("Pages a query and engine set at the most.", ge=1, le=50)] = 10
    safesearch: Annotated[int, _about("0 off, 1 moderate, 2 strict.", ge=0, le=2)] = 1


class Openverse(Section, frozen=True):
    """Openverse: licence and author known."""

    on: bool = False
    licences: Annotated[tuple[str, ...], _about("Openverse's spellings. Default: those that allow commercial use and changes.")] = ("cc0", "pdm", "by", "by-sa")
    pages: Annotated[int, _about("Pages of 20; 240 works a query is as deep as it goes.", ge=1, le=12)] = 12


class Commons(Section, frozen=True):
    """Wikimedia Commons: licence and author known."""

    on: bool = False
    pages: Annotated[int, _about("Pages of 50.", ge=1, le=20)] = 4


class Crawl(Section, frozen=True):
    """Where new pictures come from and what is good enough."""

    searxng: Searxng = Searxng()
    openverse: Openverse = Openverse()
    commons: Commons = Commons()
    url_lists: Annotated[tuple[str, ...], _about("CSV files with the columns url, category, licence, author (title, landing_url).")] = ()
    refresh: Annotated[int, _about("Raise it to ask the suppliers again; only adds.", ge=0)] = 0
    retry: Annotated[int, _about("Raise it to try dead addresses again.", ge=0)] = 0
    min_side: Annotated[int, _about("Pixels of the shorter side. Default 200: smaller ones rarely show a tool well.", ge=1)] = 200
    max_aspect: Annotated[float, _about("Longer by shorter side at the most.", ge=1)] = 4.0
    per_site: Annotated[int, _about("Pictures of one site for a category at the most; 0: no limit.", ge=0)] = 60
    thumbnails: Annotated[Literal["drop", "flag"], _about("A thumbnail in place of the original.")] = "drop"
    drawings: Annotated[Literal["drop", "flag", "keep"], _about("Pictures that look drawn. Default flag: the test is good, not perfect.")] = "flag"
    screenshots: Annotated[Literal["drop", "flag", "keep"], _about("Pictures that look like a screen.")] = "flag"
    catalogue: Annotated[Literal["drop", "flag", "keep"], _about("Shots on a white background.")] = "flag"
    near_duplicates: Annotated[int, _about("Bits of 64 by which two pictures' perceptual hashes may differ and be the same.", ge=0, le=11)] = 6
    connections: Annotated[int, _about("Requests at once.", ge=1, le=256)] = 32
    per_host: Annotated[int, _about("Requests at once to one host. Default 2, as polite crawlers do.", ge=1, le=64)] = 2
    pace_s: Annotated[float, _about("Seconds between two requests to one host at least.", ge=0)] = 0.1
    timeout_s: Annotated[float, _about("Seconds for a whole picture at the most.", gt=0)] = 30.0
    max_bytes: Annotated[int, _about("Bytes of a picture at the most.", ge=1)] = 40_000_000
    robots: Annotated[bool, _about("Honour robots.txt and X-Robots-Tag. Default: yes.")] = True


class Price(Section, frozen=True):
    """What one task (one picture, one worker) costs."""

    usd_per_task: Annotated[float, _about("Worker's pay a task in USD. Public workforce: one of AWS's tiers, 0.036 is the lowest.", ge=0)] = 0.036
    usd_service_fee: Annotated[float, _about("Service fee a picture in USD, before any volume discount: the worst case.", ge=0)] = 0.08


class Label(Section, frozen=True):
    """What to buy, for how much."""

    budget_usd: Annotated[float, _about("Cap in USD over everything ever bought in the project. 0: nobody is contacted.", ge=0)] = 0.0
    price: Price = Price()
    workers: Annotated[int, _about("Workers a picture. Default 1; boxes of several are fused by agreement.", ge=1, le=9)] = 1
    instructions_version: Annotated[int, _about("Raise it to ask everything again. Editing the instructions alone does not.", ge=1)] = 1
    max_images: Annotated[int, _about("Pictures in one plan at the most; 0: what the budget allows.", ge=0)] = 0
    old_pictures: Annotated[Literal["none", "all"], _about("Ask pictures labelled before about a new category. Default none: the plan shows the price.")] = "none"
    min_iou: Annotated[float, _about("Overlap from which two workers' boxes are one object.", gt=0, lt=1)] = 0.5


class Labeler(Section, frozen=True):
    """Who draws the boxes; read by the `boxset label` commands alone."""

    backend: Annotated[Literal["ground_truth", "label_studio", "files"], _about("ground_truth (existing AWS customers), label_studio, or files.")] = "files"
    url: Annotated[str, _about("label_studio: its address; the token comes from LABEL_STUDIO_TOKEN.")] = ""
    folder: Annotated[str, _about("files: where tasks go out to and results come in from.")] = "labelling"
    region: Annotated[str, _about("ground_truth: the AWS region; bucket and job must share it.")] = "us-east-1"
    bucket: Annotated[str, _about("ground_truth: s3://bucket/prefix for pictures and jobs. Empty: project.bucket.")] = ""
    role_arn: Annotated[str, _about("ground_truth: the IAM role that the job runs as.")] = ""
    workteam_arn: Annotated[str, _about("ground_truth: private team or vendor. The public workforce needs `public: true`.")] = ""
    public: Annotated[bool, _about("ground_truth: use the public workforce; its future after 2026-09-30 is not documented.")] = False
    free_of_personal_data: Annotated[bool, _about("You state that no picture shows a person's data; the public workforce demands it.")] = False
    title: Annotated[str, _about("Title of the task that workers see.", min_length=1, max_length=128)] = "Draw a box round each tool"
    instructions: Annotated[str, _about("A text file with the instructions. Empty: a short text from the categories' names.")] = ""
    trial: Annotated[int, _about("Pictures sent first, to look at before the rest goes.", ge=0)] = 10


class Merge(Section, frozen=True):
    """How records of the same picture and object become one."""

    duplicate_bits: Annotated[int, _about("Bits of 64 by which perceptual hashes of one picture may differ.", ge=0, le=11)] = 6
    fuse_iou: Annotated[float, _about("Overlap from which two boxes of one category, from two sources, are one object.", gt=0, lt=1)] = 0.6
    conflict_iou: Annotated[float, _about("Overlap from which boxes of two categories contradict each other; logged.", gt=0, lt=1)] = 0.85
    trust: Annotated[tuple[str, ...], _about("Sources in falling order of trust; unnamed ones follow. Its box is kept when boxes are fused.")] = ("label", "lvis", "coco", "open_images", "imagenet", "visual_genome")
    unknown: Annotated[Literal["keep", "drop"], _about("Pictures where nobody looked for some category. Default keep: the fields say which.")] = "keep"


class Balance(Section, frozen=True):
    """What happens to a category that drowns the rest."""

    mode: Annotated[Literal["select", "weights"], _about("select: choose whole pictures against targets and caps; weights: keep all, write repeat factors.")] = "weights"
    repeat_threshold: Annotated[float, _about("LVIS's t: a category in fewer than this share of pictures is repeated.", gt=0, le=1)] = 0.3
    negatives_share: Annotated[float, _about("Pictures without any box, as a share of the data set, at the most.", ge=0, le=1)] = 0.1
    max_gap: Annotated[float, _about("select: the solver stops within this share of the bound.", ge=0, lt=1)] = 0.001
    max_nodes: Annotated[int, _about("select: the solver stops after so many nodes; seconds would not repeat.", ge=1)] = 2000


class Ratio(Section, frozen=True):
    """Shares of the splits; they add up to 1."""

    train: Share = 0.8
    val: Share = 0.1
    test: Share = 0.1


class Split(Section, frozen=True):
    """Train, val and test."""

    ratio: Ratio = Ratio()
    min_boxes: Annotated[int, _about("Boxes of every category that val and test hold at least, where there are enough.", ge=0)] = 0
    never_test: Annotated[tuple[str, ...], _about("Sources whose pictures stay out of test: pre-trained backbones have seen them.")] = ()
    test_only_from: Annotated[tuple[str, ...], _about("Sources that alone may fill test: measure where the detector will work.")] = ()


class Params(Section, frozen=True):
    """The whole of `params.yaml`."""

    world: Annotated[World, _about("embedded: a local stand-in plays everything outside; live: the real internet. Fixed once there is data.")]
    project: Project
    categories: dict[str, Category]
    sources: dict[str, Source]
    mirrors: Annotated[dict[str, str], _about("Address prefix → mirror, e.g. a copy in your network: {\"https://storage.googleapis.com/openimages/\": \"http://nas/oi/\"}.")] = {}
    licences: Licences = Licences()
    crawl: Crawl = Crawl()
    label: Label = Label()
    labeler: Labeler = Labeler()
    merge: Merge = Merge()
    balance: Balance = Balance()
    split: Split = Split()


def read_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check all parameters. Raises ParamsError naming the key and what to do."""
    params = as_type(read_yaml(path), Params, where=str(path))
    for check in (_names, _ids, _formats, _class_sources, _ratio):
        check(params, str(path))
    return params


def read_yaml(path: Path) -> Any:
    """Read a YAML file. Raises InputError or ParamsError."""
    try:
        return yaml.load(path.read_text(), Loader=_Yaml12)  # noqa: S506 - a safe loader
    except OSError as err:
        raise InputError(f"cannot read: {err.strerror}", where=str(path), do="Run in a Boxset project, or make one with `boxset init DIR`") from err
    except (yaml.YAMLError, UnicodeDecodeError) as err:
        mark = getattr(err, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ParamsError(f"not YAML: {getattr(err, 'problem', None) or err}", where=f"{path}{line}") from err


class _Yaml12(yaml.SafeLoader):
    """YAML 1.2's booleans, as DVC reads them: `on` is a word."""


_Yaml12.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Yaml12.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def as_type(value: Any, as_: type[T], *, where: str) -> T:
    """Convert a plain value strictly. Raises ParamsError with the key's path and the nearest known keys."""
    try:
        return msgspec.convert(value, as_)
    except msgspec.ValidationError as err:
        raise _params_error(str(err), as_, where) from err


def _params_error(message: str, as_: type[Any], where: str) -> ParamsError:
    text, _, path = message.partition(" - at `$")
    key = path.rstrip("`").lstrip(".")
    unknown = re.search(r"unknown field `([^`]*)`", text)
    if unknown:
        full = f"{key}.{unknown[1]}".lstrip(".")
        known = known_keys(as_, key)
        hint = did_you_mean(unknown[1], known)
        listing = "" if hint else f"; known here: {', '.join(known)}" if known else ""
        return ParamsError(f"{full}: unknown key{hint or listing}", where=where, do="`boxset check --explain KEY` says what a key means")
    missing = re.search(r"missing required field `([^`]*)`", text)
    if missing:
        return ParamsError(f"{f'{key}.{missing[1]}'.lstrip('.')}: missing", where=where, do="Add it")
    return ParamsError(f"{key or 'the file'}: {text[:1].lower()}{text[1:]}", where=where, do="`boxset check --explain KEY` says what a key takes")


def known_keys(as_: Any, key: str) -> list[str]:
    """Return the keys known at a dotted path such as `crawl.searxng` or `categories[...]`."""
    section: Any = as_
    for part in (p for p in re.split(r"\.|(?=\[)", key) if p):
        section = _below(section, part)
        if section is None:
            return []
    return [field.name for field in msgspec.structs.fields(section)] if _is_section(section) else []


def _below(section: Any, part: str) -> Any:
    if _is_section(section):
        of = {field.name: field.type for field in msgspec.structs.fields(section)}.get(part)
    else:
        of = section
    for candidate in _sections_in(of):
        return candidate
    return None


def _sections_in(of: Any) -> list[Any]:
    if _is_section(of):
        return [of]
    found: list[Any] = []
    for inner in getattr(of, "__args__", ()) or ():
        found += _sections_in(inner)
    return found or (_sections_in(of.__origin__) if hasattr(of, "__metadata__") else [])


def _is_section(of: Any) -> bool:
    return isinstance(of, type) and issubclass(of, Section)


def _names(params: Params, where: str) -> None:
    for kind, names in (("categories", params.categories), ("sources", params.sources)):
        for name in names:
            if not NAME.fullmatch(name):
                raise ParamsError(f"{kind}.{name}: a name is a small letter followed by small letters, digits and _", where=where, do="Rename it")


def _ids(params: Params, where: str) -> None:
    seen: dict[int, str] = {}
    for name, category in params.categories.items():
        if category.id in seen:
            free = max(other.id for other in params.categories.values()) + 1
            raise ParamsError(
                f"categories.{name}.id: {category.id} is the id of {seen[category.id]} as well", where=where, do=f"Give the newer one a new id, {free} or higher"
            )
        seen[category.id] = name


def _formats(params: Params, where: str) -> None:
    for name, source in params.sources.items():
        if (source.format or name) not in FORMATS:
            hint = did_you_mean(source.format or name, FORMATS)
            raise ParamsError(f"sources.{name}.format: no reader called {source.format or name}{hint}", where=where, do=f"One of {', '.join(FORMATS)}")


def _class_sources(params: Params, where: str) -> None:
    for name, category in params.categories.items():
        for source in category.classes:
            if source not in params.sources:
                hint = did_you_mean(source, params.sources)
                raise ParamsError(f"categories.{name}.classes.{source}: there is no such source{hint}", where=where, do="Name a key of `sources`, or delete the line")


def _ratio(params: Params, where: str) -> None:
    ratio = params.split.ratio
    total = ratio.train + ratio.val + ratio.test
    if abs(total - 1) > 1e-9:
        raise ParamsError(f"split.ratio: the shares add up to {total:g}, not 1", where=where, do="Change one of them")
    sources = {*params.sources, "crawl"}
    for key, named in (("never_test", params.split.never_test), ("test_only_from", params.split.test_only_from)):
        for source in named:
            if source not in sources:
                raise ParamsError(f"split.{key}: there is no source {source}{did_you_mean(source, sources)}", where=where, do="Name a key of `sources`, or crawl")


def queries_of(category: Category) -> tuple[Query, ...]:
    """Return a category's searches in their full form."""
    return tuple(q if isinstance(q, Query) else Query(q=q) for q in category.queries)


def terms_of(category: Category, source: str) -> tuple[ClassTerm, ...]:
    """Return a category's classes in one source in their full form."""
    return tuple(t if isinstance(t, ClassTerm) else ClassTerm(name=t) for t in category.classes.get(source, ()))
