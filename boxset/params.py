"""`params.yaml`: its types, defaults and meanings, checked strictly before anything runs.

Each key's meaning, unit and the reason for its default stand beside it here and nowhere else; `boxset check --explain KEY` and
docs/parameters.md show them.
"""

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal
from unicodedata import normalize

import msgspec
from msgspec import Meta

from boxset.errors import did_you_mean, no_category
from boxset.lines import line_of
from boxset.strict import Fault, faults
from boxset.text import UNTEXT
from boxset.yaml12 import read_yaml

NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
FORMATS = ("open_images", "imagenet", "visual_genome", "coco", "lvis", "local")
FROZEN_NAME = re.compile(r"(?!.*\.\.)(?!.*\.lock$)[A-Za-z0-9](?:[A-Za-z0-9._-]{0,46}[A-Za-z0-9_-])?")  # a tag of git and a file may be called so
FROZEN_NAME_DO = "Letters, digits, dots, hyphens and underscores, such as v1 or 2026-11"
MOST = "max_images_per_category"  # the one key whose default depends on the source's format
NOT_A_SOURCE = ("crawl", "label", "review")  # what boxes and pictures from there call their source

NO_CONTACT = (
    "empty, and nothing is fetched from the internet without one",
    "Write an e-mail address or a page of yours: it is sent to every site that is fetched from",
)

UNSENDABLE = ("no request can carry its letters", "Write it in Latin ones: of a name in another script what begins with xn--")


def is_sendable(contact: str) -> bool:
    """Return whether a header of HTTP can hold a contact: it has one byte for a letter."""
    return not contact or ord(max(contact)) < 256


World = Literal["embedded", "live"]
Use = Literal["commercial", "research"]
FlagPolicy = Literal["crowd", "keep", "drop"]
ReviewPolicy = Literal["first", "required"]
LookPolicy = Literal["drop", "flag", "keep"]
UnknownPolicy = Literal["allow", "deny"]


def _about(text: str, *, unit: str = "", why: str = "", **limits: Any) -> Meta:
    """State what a key means, in which unit it counts, and why its default is what it is."""
    return Meta(description=text, extra={"unit": unit, "why": why}, **limits)


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section: immutable, and strict about unknown keys."""


class Project(Section, frozen=True):
    """Who and what this is."""

    name: Annotated[str, _about("Name of the data set, as it stands in its card and in COCO's `info`.", min_length=1)]
    use: Annotated[
        Use,
        _about(
            "What the data set is for; decides which licences and sources may enter: commercial keeps NC and research-only pictures out.",
            why="the stricter one, so that nothing enters by mistake that must leave again",
        ),
    ] = "commercial"
    contact: Annotated[
        str,
        _about(
            "An e-mail address or page of yours, sent to every site that is fetched from. Nothing comes from the internet without one; own pictures alone need none.",
            why="only you know it",
        ),
    ] = ""
    bucket: Annotated[
        str,
        _about(
            "`s3://bucket/prefix` for what a team shares: labelling jobs and purchase claims.",
            why="empty: everything stays on this machine, for one user",
        ),
    ] = ""


class ClassTerm(Section, frozen=True):
    """A source's class, and whether its children count too."""

    name: Annotated[
        str,
        _about(
            "The class, by its id, name, synonym or synset; `id:…`, `name:…` and `synset:…` say which where a word could be several.", min_length=1
        ),
    ]
    children: Annotated[
        bool,
        _about("Take the classes below it in the source's hierarchy too.", why="what a source puts below a class is often another thing"),
    ] = False


class Query(Section, frozen=True):
    """One search, in one language."""

    q: Annotated[str, _about("What to search for.", min_length=1, max_length=200)]
    lang: Annotated[
        str,
        _about("Language of the search, as SearXNG spells it (`fr`, `de`, `all`).", why="engines then choose by the words alone"),
    ] = "all"


class Category(Section, frozen=True):
    """One thing that the detector shall find; its key stays for good: folders, ledger and decisions go by it, and `name` is for show."""

    id: Annotated[
        int, _about("The category's id in the data set. Never used again for another one, over the whole git history.", unit="an id", ge=1)
    ]
    target: Annotated[
        int, _about("How many boxes are wanted over all splits, after duplicates are united. The purchase plan stops there.", unit="boxes", ge=0)
    ]
    name: Annotated[
        str,
        _about(
            "What the data set, its exports and the report call it, and yours to change: nothing is crawled or bought again. No other category's name or key.",
            why="empty: the key",
            max_length=60,
        ),
    ] = ""
    max: Annotated[
        int,
        _about(
            "How many boxes the data set holds at the most, where `balance.mode` is `select`. 0: no limit.",
            unit="boxes",
            why="public boxes cost nothing; leave some out only where a category drowns the rest",
            ge=0,
        ),
    ] = 0
    supercategory: Annotated[str, _about("COCO's `supercategory` of it.", why="COCO demands one and trainers ignore it", min_length=1)] = "object"
    classes: Annotated[
        dict[str, tuple[str | ClassTerm, ...]],
        _about(
            "For each source its classes for this category; `[]` says that it is known to have none. `boxset coverage WORD` prints this block.",
            why="nothing is taken from a source that is not named",
        ),
    ] = {}
    queries: Annotated[
        tuple[str | Query, ...],
        _about(
            "What to search for when pictures are crawled, in this order; each a text, or `{q: …, lang: …}`.", why="without any, nothing is crawled"
        ),
    ] = ()
    crawl_images: Annotated[
        int,
        _about(
            "How many good pictures are wanted from the crawl. Raising it goes on from where it stopped.",
            unit="pictures",
            why="a crawl costs time and other people's bandwidth, so it is asked for",
            ge=0,
        ),
    ] = 0
    reject_words: Annotated[
        tuple[str, ...],
        _about(
            "A hit with one of these words in its title or address is left out before it is downloaded, and counted.",
            why="which words mislead depends on the category",
        ),
    ] = ()
    confusers: Annotated[
        tuple[str, ...],
        _about(
            "Searches for things that look alike; their pictures become hard negatives once people have seen that the category is not there.",
            why="they cost labels",
        ),
    ] = ()
    guideline: Annotated[
        str,
        _about(
            "A text file, such as one in Markdown, that says what counts and what does not. Workers see it as it is; the data card has it as it was when the set was built.",
            why="without one, the category's name must do",
        ),
    ] = ""


class FlagPolicies(Section, frozen=True):
    """What happens to boxes with a flag: `crowd` (kept as iscrowd 1), `keep` (kept as any other), `drop` (left out, counted)."""

    group_of: Annotated[FlagPolicy, _about("One box round many objects.", why="evaluators and trainers know how to ignore a crowd")] = "crowd"
    iscrowd: Annotated[FlagPolicy, _about("COCO's own crowds.", why="as COCO has them")] = "crowd"
    depiction: Annotated[
        FlagPolicy, _about("A drawing or picture of the thing.", why="the flag stands on the box, so that a trainer can still choose")
    ] = "keep"
    occluded: Annotated[FlagPolicy, _about("Partly hidden by something else.", why="a detector meets those too")] = "keep"
    truncated: Annotated[FlagPolicy, _about("Cut by the picture's edge.", why="a detector meets those too")] = "keep"
    inside: Annotated[FlagPolicy, _about("Photographed from inside the object.", why="it does not happen with tools, and harms nobody")] = "keep"


class Source(Section, frozen=True):
    """A public annotated data set, or one's own pictures; the key is its name."""

    on: Annotated[
        bool, _about("Whether it is used. Off: skipped with one line; what it had brought leaves the data set.", why="named sources are wanted")
    ] = True
    format: Annotated[
        str,
        _about(
            "Which reader: open_images, imagenet, visual_genome, coco, lvis or local.",
            why="the source's name says it; set it where you name a source otherwise",
        ),
    ] = ""
    path: Annotated[
        str,
        _about(
            "Folder, zip, address or `s3://bucket/prefix` that holds the source's files.",
            why="empty: their public addresses (docs/sources.md); imagenet and local have none",
        ),
    ] = ""
    files: Annotated[
        dict[str, str],
        _about(
            "Another path or address for single files, by the reader's names for them (docs/sources.md).", why="the public files are where they are"
        ),
    ] = {}
    sha256: Annotated[
        dict[str, str],
        _about(
            "Expected SHA-256 of single files, by the same names; a file that differs is refused.",
            unit="64 hexadecimal digits",
            why="publishers mend their files; pin them where you need to be sure",
        ),
    ] = {}
    splits: Annotated[tuple[str, ...], _about("Which of the source's own splits to read.", why="all that it has: we split anew")] = ()
    max_images_per_category: Annotated[
        int,
        _about(
            "Pictures taken for one category at the most; 0: no limit.",
            unit="pictures",
            why="enough for a detector, and about a gigabyte a category; 0 where the format is local: your own pictures all come in",
            ge=0,
        ),
    ] = 4000
    negatives: Annotated[
        int,
        _about(
            "Pictures to take in which a category is known to be absent, for each category.",
            unit="pictures",
            why="boxes first; negatives teach what the thing is not",
            ge=0,
        ),
    ] = 0
    flags: Annotated[FlagPolicies, _about("What happens to boxes with a flag; a crowd counts towards no target, cap or floor.")] = FlagPolicies()
    max_lost_share: Annotated[
        float,
        _about(
            "The source fails where more than this share of its rows is unreadable.",
            unit="share of rows",
            why="real files have a few bad rows; one in fifty means that the format has changed",
            ge=0,
            le=1,
        ),
    ] = 0.02
    max_missing_share: Annotated[
        float,
        _about(
            "The source fails where more than this share of its pictures is missing.",
            unit="share of pictures",
            why="photos vanish from the web; a quarter means that the address is wrong or the network is down",
            ge=0,
            le=1,
        ),
    ] = 0.25
    annotations: Annotated[
        str,
        _about(
            "local only: a COCO file in the folder (`*` stands for any letters, where several belong together), `yolo`, or `none`.",
            why="empty: found by looking into the folder",
        ),
    ] = ""
    license: Annotated[str, _about("local only: SPDX identifier for all its pictures, e.g. `LicenseRef-own`.", why="what a COCO file states of each")] = ""
    category: Annotated[
        str,
        _about("local only: the category that people are asked about first in pictures that no annotation file speaks of.", why="empty: they wait until one is named"),
    ] = ""
    retry: Annotated[
        int,
        _about(
            "Raise it to try again the pictures that could not be had.", unit="a counter", why="what was gone once is not asked for at each run", ge=0
        ),
    ] = 0


class Licences(Section, frozen=True):
    """Which licences may enter; SPDX identifiers, `*` stands for anything (`CC-BY-*`)."""

    allow: Annotated[
        tuple[str, ...],
        _about(
            "Of the licences that are stated only these enter: SPDX identifiers, `*` for any letters (`CC-BY-*`).",
            why="empty: all that `project.use` permits",
        ),
    ] = ()
    deny: Annotated[
        tuple[str, ...],
        _about(
            "These never enter, spelt the same way.",
            why="under `use: commercial` NC licences and research-only sources are out anyway; ND ones are not: `*-ND*` keeps them out",
        ),
    ] = ()
    unknown: Annotated[
        UnknownPolicy,
        _about(
            "What happens to a picture whose licence nobody states; most of a crawl's.",
            why="without them there is no crawl; they are marked in ATTRIBUTION.csv",
        ),
    ] = "allow"


class Searxng(Section, frozen=True):
    """A SearXNG instance of one's own."""

    on: Annotated[bool, _about("Whether it is asked.", why="it reaches the most pictures")] = True
    url: Annotated[
        str,
        _about("Base address of the instance; its JSON format must be on (docs/searxng.md).", why="where its container listens"),
    ] = "http://localhost:8888"
    engines: Annotated[tuple[str, ...], _about("Engine names, as its /config has them.", why="empty: all of its image category")] = ()
    pages: Annotated[
        int,
        _about(
            "Pages of answers asked for one query at the most.", unit="pages", why="engines repeat themselves or block after about ten", ge=1, le=50
        ),
    ] = 10
    safesearch: Annotated[int, _about("0 off, 1 moderate, 2 strict.", unit="a level", why="strict drops tools with people", ge=0, le=2)] = 1


class Openverse(Section, frozen=True):
    """Openverse: licence and author of every picture known."""

    on: Annotated[bool, _about("Whether it is asked.", why="its anonymous limit of 200 requests a day is soon used up")] = False
    licences: Annotated[
        tuple[str, ...],
        _about("Which licences to ask for, in Openverse's spellings.", why="those that allow commercial use and changes"),
    ] = ("cc0", "pdm", "by", "by-sa")
    pages: Annotated[
        int, _about("Pages of 20 asked for one query at the most.", unit="pages", why="240 works a query is as deep as it goes", ge=1, le=12)
    ] = 12


class Commons(Section, frozen=True):
    """Wikimedia Commons: licence and author of every picture known."""

    on: Annotated[bool, _about("Whether it is asked.", why="it has few photographs of most things, and wants to be asked slowly")] = False
    pages: Annotated[
        int, _about("Pages of 50 asked for one query at the most.", unit="pages", why="what follows rarely shows the thing", ge=1, le=20)
    ] = 4


class Crawl(Section, frozen=True):
    """Where new pictures come from and what is good enough."""

    searxng: Annotated[Searxng, _about("A SearXNG instance of one's own.")] = Searxng()
    openverse: Annotated[Openverse, _about("Openverse's public API.")] = Openverse()
    commons: Annotated[Commons, _about("Wikimedia Commons' public API.")] = Commons()
    url_lists: Annotated[
        tuple[str, ...],
        _about("CSV files of addresses of your own, with the columns url, category, licence, author (author_url, title, landing_url).", why="only you have them"),
    ] = ()
    refresh: Annotated[
        int,
        _about("Raise it to ask the suppliers again; only adds.", unit="a counter", why="answers are frozen, so that a rebuild gives the same", ge=0),
    ] = 0
    retry: Annotated[
        int, _about("Raise it to try dead addresses again.", unit="a counter", why="what was dead once is not asked for at each run", ge=0)
    ] = 0
    min_side: Annotated[int, _about("A picture's shorter side at least.", unit="pixels", why="smaller ones rarely show a tool well", ge=1)] = 200
    max_aspect: Annotated[float, _about("Longer by shorter side at the most.", unit="a ratio", why="beyond, it is a banner or a strip", ge=1)] = 4.0
    per_site: Annotated[
        int,
        _about("Pictures of one site for a category at the most; 0: no limit.", unit="pictures", why="one shop shall not fill a category", ge=0),
    ] = 60
    thumbnails: Annotated[
        Literal["drop", "flag"],
        _about("What happens to a thumbnail in place of the original.", why="too small and too soft to train on"),
    ] = "drop"
    drawings: Annotated[
        LookPolicy, _about("What happens to pictures that look drawn.", why="the test is good, not perfect; a flag lets you look")
    ] = "flag"
    screenshots: Annotated[
        LookPolicy, _about("What happens to pictures that look like a screen.", why="the test is good, not perfect; a flag lets you look")
    ] = "flag"
    catalogue: Annotated[
        LookPolicy, _about("What happens to shots on a white background.", why="a few are useful; the flag lets you keep them few")
    ] = "flag"
    near_duplicates: Annotated[
        int,
        _about(
            "Two pictures whose perceptual hashes differ by so many bits or fewer may be the same; colours confirm it.",
            unit="bits of 64",
            why="catches re-encoded and resized copies",
            ge=0,
            le=11,
        ),
    ] = 6
    connections: Annotated[
        int, _about("Requests at once.", unit="connections", why="fills a usual line; most sites are slower than it", ge=1, le=256)
    ] = 32
    per_host: Annotated[int, _about("Requests at once to one host.", unit="connections", why="as polite crawlers do", ge=1, le=64)] = 2
    pace_s: Annotated[float, _about("Time between two requests to one host at least.", unit="seconds", why="ten a second harm nobody", ge=0)] = 0.1
    timeout_s: Annotated[float, _about("Time for a whole picture at the most.", unit="seconds", why="a slower one is not worth the wait", gt=0)] = (
        30.0
    )
    max_bytes: Annotated[int, _about("Size of a picture at the most.", unit="bytes", why="larger than any photograph on a web page", ge=1)] = (
        40_000_000
    )
    robots: Annotated[bool, _about("Honour robots.txt and X-Robots-Tag.", why="it is what a site asks for")] = True


class Price(Section, frozen=True):
    """What one task (one picture, one worker) costs."""

    usd_per_task: Annotated[
        float,
        _about("A worker's pay for one task. The public workforce takes AWS's tiers only.", unit="USD a task", why="AWS's lowest tier", ge=0),
    ] = 0.036
    usd_service_fee: Annotated[
        float,
        _about(
            "The service's fee for one picture, before any volume discount.",
            unit="USD a picture",
            why="AWS's highest: the worst case is what is reserved",
            ge=0,
        ),
    ] = 0.08


class Label(Section, frozen=True):
    """What to buy, for how much."""

    budget_usd: Annotated[
        float,
        _about(
            "Cap over everything ever bought in the project, in all its branches. 0: nobody is contacted.",
            unit="USD",
            why="spending is something that you decide",
            ge=0,
        ),
    ] = 0.0
    price: Annotated[Price, _about("What one task costs.")] = Price()
    workers: Annotated[
        int,
        _about(
            "People who are paid to draw each picture; the price counts all of them. ground_truth and label_studio ask so many, and make one answer of "
            "what most of them drew; files takes its results as they are.",
            unit="people",
            why="three cost three times as much",
            ge=1,
            le=9,
        ),
    ] = 1
    instructions_version: Annotated[
        int,
        _about(
            "Raise it to ask everything again. Editing the instructions alone does not.",
            unit="a counter",
            why="a mended comma shall buy nothing",
            ge=1,
        ),
    ] = 1
    max_images: Annotated[
        int, _about("Pictures in one plan at the most; 0: what the budget allows.", unit="pictures", why="the budget is the limit", ge=0)
    ] = 0
    old_pictures: Annotated[
        Literal["none", "all"],
        _about(
            "Whether pictures that were labelled before are asked about a new category.",
            why="it can cost more than all before; the plan shows the price",
        ),
    ] = "none"
    review: Annotated[
        ReviewPolicy,
        _about(
            "Which pictures are planned: first, those with a yes of `boxset review` before those that nobody has reviewed; required, those with a yes alone.",
            why="a purchase shall not wait for a review that nobody does",
        ),
    ] = "first"
    gold_share: Annotated[
        float,
        _about(
            "Known pictures among those of a purchase, rounded up: a source or your own labels have all their boxes, so that what people draw there shows how well they draw.",
            unit="share of pictures",
            why="they are paid like others and bring no box",
            ge=0,
            le=0.2,
        ),
    ] = 0.0


class Labeler(Section, frozen=True):
    """Who draws the boxes; read by the `boxset label` commands alone, so that a change here rebuilds nothing."""

    backend: Annotated[
        Literal["ground_truth", "label_studio", "files"],
        _about("ground_truth (Amazon SageMaker, for its existing customers), label_studio, or files.", why="needs no account"),
    ] = "files"
    url: Annotated[str, _about("label_studio: its address; the token comes from LABEL_STUDIO_TOKEN.", why="only you know it")] = ""
    folder: Annotated[
        str, _about("files: where tasks go out to and results come in from.", why="a folder of its own in the project", min_length=1)
    ] = "labelling"
    region: Annotated[str, _about("ground_truth: the AWS region; bucket and job must share it.", why="AWS's first")] = "us-east-1"
    bucket: Annotated[str, _about("ground_truth: s3://bucket/prefix for pictures and jobs.", why="empty: project.bucket")] = ""
    role_arn: Annotated[str, _about("ground_truth: the IAM role that the job runs as.", why="only you know it")] = ""
    workteam_arn: Annotated[
        str,
        _about("ground_truth: your private team or a vendor's. The public workforce needs `public: true`.", why="only you know it"),
    ] = ""
    public: Annotated[
        bool,
        _about("ground_truth: use the public workforce.", why="strangers see the pictures, and its future after 2026-09-30 is not documented"),
    ] = False
    free_of_personal_data: Annotated[
        bool,
        _about("You state that no picture shows personal data; the public workforce demands it.", why="only you can state it"),
    ] = False
    title: Annotated[
        str, _about("Title of the task that workers see.", why="all that there is to do, in six words", min_length=1, max_length=128)
    ] = "Draw a box round each tool"
    instructions: Annotated[
        str,
        _about("A text file that tells workers what to do. The guidelines of the categories follow it.", why="empty: a short text from the categories' names"),
    ] = ""
    trial: Annotated[
        int, _about("Pictures sent first, to look at before the rest goes.", unit="pictures", why="mistakes in instructions show at once", ge=0)
    ] = 10


class Merge(Section, frozen=True):
    """How records of the same picture and object become one."""

    duplicate_bits: Annotated[
        int,
        _about(
            "Two pictures whose perceptual hashes differ by so many bits or fewer may be the same; colours confirm it.",
            unit="bits of 64",
            why="catches re-encoded and resized copies",
            ge=0,
            le=11,
        ),
    ] = 6
    fuse_iou: Annotated[
        float,
        _about(
            "Overlap from which two boxes of one category, from two sources or in two copies of a picture, are one object.",
            unit="intersection over union",
            why="people who box the same object differ by less",
            gt=0,
            lt=1,
        ),
    ] = 0.6
    conflict_iou: Annotated[
        float,
        _about(
            "Overlap from which boxes of two categories contradict each other; logged in conflicts.jsonl.",
            unit="intersection over union",
            why="two things rarely fill the same box",
            gt=0,
            lt=1,
        ),
    ] = 0.85
    trust: Annotated[
        tuple[str, ...],
        _about(
            "Sources in falling order of trust; unnamed ones follow. When boxes are fused, the most trusted one stays.",
            why="drawn by hand and checked first",
        ),
    ] = ("label", "lvis", "coco", "open_images", "imagenet", "visual_genome")
    unknown: Annotated[
        Literal["keep", "drop"],
        _about("What happens to pictures in which nobody looked for some category.", why="COCO fields say which; a trainer can leave them out"),
    ] = "keep"


class Balance(Section, frozen=True):
    """What happens to a category that drowns the rest."""

    mode: Annotated[
        Literal["select", "weights"],
        _about("select: choose whole pictures against targets and caps; weights: keep every box and write repeat factors.", why="leaves no box out"),
    ] = "weights"
    repeat_threshold: Annotated[
        float,
        _about(
            "LVIS's t: a category in fewer than this share of the pictures is repeated.",
            unit="share of pictures",
            why="with five categories each shall be in about a third",
            gt=0,
            le=1,
        ),
    ] = 0.3
    negatives_share: Annotated[
        float,
        _about(
            "Pictures without any box, as a share of the data set, at the most.",
            unit="share of pictures",
            why="more slow training down",
            ge=0,
            le=1,
        ),
    ] = 0.1
    max_gap: Annotated[
        float,
        _about(
            "select: the solver stops within this share of the best that is possible.",
            unit="a share",
            why="one box in a thousand",
            ge=0,
            lt=1,
        ),
    ] = 0.001
    max_nodes: Annotated[
        int, _about("select: the solver stops after so many nodes.", unit="nodes", why="seconds would not give the same twice", ge=1)
    ] = 2000


class Ratio(Section, frozen=True):
    """Shares of the splits; they add up to 1."""

    train: Annotated[float, _about("Share of train.", unit="share of boxes", why="what is not needed for measuring", ge=0, le=1)] = 0.8
    val: Annotated[float, _about("Share of val.", unit="share of boxes", why="enough to choose a model by", ge=0, le=1)] = 0.1
    test: Annotated[float, _about("Share of test.", unit="share of boxes", why="enough to measure one by", ge=0, le=1)] = 0.1


class Split(Section, frozen=True):
    """Train, val and test."""

    ratio: Annotated[Ratio, _about("Shares of the splits; they add up to 1.")] = Ratio()
    min_boxes: Annotated[
        int,
        _about(
            "Boxes of every category that val and test hold at least, where there are enough; groups leave train for it, none leaves test. Fewer are reported.",
            unit="boxes",
            why="the ratio alone decides",
            ge=0,
        ),
    ] = 0
    never_test: Annotated[
        tuple[str, ...],
        _about(
            "Sources (or crawl) whose pictures, and their near-duplicates, stay out of test: pre-trained backbones have seen them.",
            why="a small data set needs them all",
        ),
    ] = ()
    test_only_from: Annotated[
        tuple[str, ...],
        _about(
            "Sources (or crawl) that alone fill test: measure where the detector will work. Where they are too few, test stays small, and that is said.",
            why="empty: all of them",
        ),
    ] = ()
    freeze_test: Annotated[
        str,
        _about(
            "The frozen version that test is held to, whatever grows: a name that `boxset freeze` has written into frozen/.",
            why="empty: test grows with the data set",
        ),
    ] = ""


class Params(Section, frozen=True):
    """The whole of `params.yaml`."""

    world: Annotated[World, _about("embedded: a local stand-in plays everything outside; live: the real internet. Fixed once there is data.")]
    project: Annotated[Project, _about("Who and what this is.")]
    categories: Annotated[dict[str, Category], _about("What the detector shall find: one block for each category, so that branches merge.")]
    sources: Annotated[dict[str, Source], _about("Where annotated pictures come from: public data sets, and folders of yours.")]
    mirrors: Annotated[
        dict[str, str],
        _about(
            "Address prefix → mirror, another address or a folder: `https://storage.googleapis.com/openimages/: /mnt/oi/`. "
            "The longest prefix wins. Mirrors are yours: they are asked directly, without robots.txt.",
            why="the public addresses are used",
        ),
    ] = {}
    licences: Annotated[Licences, _about("Which licences may enter.")] = Licences()
    crawl: Annotated[Crawl, _about("Where new pictures come from and what is good enough.")] = Crawl()
    label: Annotated[Label, _about("What to buy, for how much.")] = Label()
    labeler: Annotated[Labeler, _about("Who draws the boxes; read by the `boxset label` commands alone.")] = Labeler()
    merge: Annotated[Merge, _about("How records of the same picture and object become one.")] = Merge()
    balance: Annotated[Balance, _about("What happens to a category that drowns the rest.")] = Balance()
    split: Annotated[Split, _about("Train, val and test.")] = Split()


def read_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check all parameters. Raises ParamsError naming the first wrong key and what to do."""
    params, found = checked(read_yaml(path))
    if params is None or found:
        raise found[0].error(place_of(found[0], path), others=len(found) - 1)
    return params


def place_of(fault: Fault, path: Path) -> str:
    """Return the file and, where it can be had, the line of the key that a fault is about."""
    if fault.key.startswith("frozen/"):
        return ""  # a file of its own, and no key of this one
    line = line_of(path.read_text(encoding="utf-8"), fault.key) if fault.key else None
    return f"{path}:{line}" if line else str(path)


def checked(value: Any) -> tuple[Params | None, list[Fault]]:
    """Return the parameters, None where they are not well formed, and everything that is wrong with them in themselves."""
    malformed = list(faults(value, Params))
    if malformed:
        return None, malformed
    params = _with_all_of_ones_own(msgspec.convert(value, Params), value)
    return params, [fault for check in (_names, _shown_names, _ids, _sources, _class_sources, _one_category_each, _split) for fault in check(params)]


def _with_all_of_ones_own(params: Params, value: Any) -> Params:
    """Return the parameters; local sources have no limit of pictures but one that is written."""
    unwritten = [name for name, source in params.sources.items() if (source.format or name) == "local" and MOST not in value["sources"][name]]
    limitless = {name: msgspec.structs.replace(params.sources[name], **{MOST: 0}) for name in unwritten}
    return msgspec.structs.replace(params, sources=params.sources | limitless)


def _names(params: Params) -> Iterator[Fault]:
    for kind, names in (("categories", params.categories), ("sources", params.sources)):
        for name in names:
            if not NAME.fullmatch(name):
                yield Fault(f"{kind}.{name}", "a name is a small letter followed by small letters, digits and _, 48 at the most", "Rename it")
    if not params.categories:
        yield Fault("categories", "there is none", "`boxset add hammer` writes one")


def _shown_names(params: Params) -> Iterator[Fault]:
    keys, names = {_folded(key): key for key in params.categories}, dict[str, str]()
    for key, category in params.categories.items():
        where, name = f"categories.{key}.name", category.name
        if UNTEXT.search(name):
            yield Fault(where, f"{name!r} has control characters", "Write it in one line of plain text")
        elif name != name.strip():
            yield Fault(where, f"{name!r} begins or ends with a blank", "Take it away")
        elif name and keys.get(_folded(name), key) != key:
            yield Fault(where, f"{name!r} is {keys[_folded(name)]}'s key", "Choose another: a name says which category is meant")
        elif name and names.setdefault(_folded(name), key) != key:
            yield Fault(where, f"{name!r} is {names[_folded(name)]}'s name", "Choose another: a name says which category is meant")


def _folded(name: str) -> str:
    """Return a name in the form in which it is compared: whatever its case, and however its letters are put together."""
    return normalize("NFKC", name).casefold()


def category_key(word: str, params: Params) -> str:
    """Return the key of the category that has this key, or this name for show. Raises ParamsError with the nearest ones."""
    if word in params.categories:
        return word
    named = {_folded(category.name): key for key, category in params.categories.items() if category.name}
    if _folded(word) not in named:
        known = [*params.categories, *(category.name for category in params.categories.values() if category.name)]
        raise no_category(word, known)
    return named[_folded(word)]


def put_back(key: str, new: str) -> str:
    """Say what to do where a category's key was changed: its name for show is what may change."""
    do = f"Put the key {key} back and write `name: {new.replace('_', ' ')}` under it"
    return f"Is it a new name for {key}? {do}: what people drew and decided stays with the key"


def _ids(params: Params) -> Iterator[Fault]:
    for name, other in second_ids(params).items():
        what = f"{params.categories[name].id} is the id of {other} as well"
        yield Fault(f"categories.{name}.id", what, "`boxset check` says which of the two changes, and to what")


def second_ids(params: Params) -> dict[str, str]:
    """Return each category whose id one before it has, with that one."""
    first: dict[int, str] = {}
    return {name: other for name, category in params.categories.items() if (other := first.setdefault(category.id, name)) != name}


def _sources(params: Params) -> Iterator[Fault]:
    for name, source in params.sources.items():
        if name in NOT_A_SOURCE:
            yield Fault(f"sources.{name}", f"{name} is what Boxset calls pictures and boxes of its own {name} stage", "Rename it")
        if (source.format or name) not in FORMATS:
            hint = did_you_mean(source.format or name, FORMATS)
            yield Fault(f"sources.{name}.format", f"no reader called {source.format or name}{hint}", f"One of {', '.join(FORMATS)}")
        if "pictures" in source.sha256:
            yield Fault(f"sources.{name}.sha256.pictures", "an archive of pictures is not hashed: each picture is checked", "Delete the line")
        if source.category and source.category not in params.categories:
            hint = did_you_mean(source.category, params.categories)
            yield Fault(f"sources.{name}.category", f"there is no category {source.category}{hint}", "Name a key of `categories`")


def _class_sources(params: Params) -> Iterator[Fault]:
    for name, category in params.categories.items():
        for source in category.classes:
            if source not in params.sources:
                hint = did_you_mean(source, params.sources)
                yield Fault(f"categories.{name}.classes.{source}", f"there is no such source{hint}", "Name a key of `sources`, or delete the line")


def _one_category_each(params: Params) -> Iterator[Fault]:
    """What two categories name by the same word; words that differ and mean one class are found once there is an index."""
    for source in params.sources:
        for one, other, word in same_terms(params, source):
            what = f"{one} has {word} as well: each such object would get both labels"
            yield Fault(f"categories.{other}.classes.{source}", what, f"Take it out of {one} or of {other}, or make the two one category")


def same_terms(params: Params, source: str) -> list[tuple[str, str, str]]:
    """Return the first word by which each two categories name the same class of a source: one, the other, the word."""
    words = {name: [term.name for term in terms_of(category, source)] for name, category in params.categories.items()}
    found = ((one, other, [word for word in words[other] if word in words[one]]) for one, other in combinations(words, 2))
    return [(one, other, shared[0]) for one, other, shared in found if shared]


def _split(params: Params) -> Iterator[Fault]:
    ratio = params.split.ratio
    total = ratio.train + ratio.val + ratio.test
    if abs(total - 1) > 1e-9:
        yield Fault("split.ratio", f"the shares add up to {total:g}, not 1", "Change one of them")
    sources = {*params.sources, "crawl"}
    for key, named in (("never_test", params.split.never_test), ("test_only_from", params.split.test_only_from)):
        for place, source in enumerate(named):
            if source not in sources:
                yield Fault(f"split.{key}[{place}]", f"there is no source {source}{did_you_mean(source, sources)}", "Name a key of `sources`, or crawl")
    for source in sorted({*params.split.never_test} & {*params.split.test_only_from}):
        place = params.split.test_only_from.index(source)
        yield Fault(f"split.test_only_from[{place}]", f"{source} is in split.never_test as well", "Take it out of one of the two")
    if params.split.freeze_test and not FROZEN_NAME.fullmatch(params.split.freeze_test):
        yield Fault("split.freeze_test", f"{params.split.freeze_test!r} is no name of a frozen version", FROZEN_NAME_DO)


def queries_of(category: Category) -> tuple[Query, ...]:
    """Return a category's searches in their full form."""
    return tuple(q if isinstance(q, Query) else Query(q=q) for q in category.queries)


def terms_of(category: Category, source: str) -> tuple[ClassTerm, ...]:
    """Return a category's classes in one source in their full form."""
    return tuple(t if isinstance(t, ClassTerm) else ClassTerm(name=t) for t in category.classes.get(source, ()))
