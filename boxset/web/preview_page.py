"""The page that `boxset preview` writes: one file, no script, nothing loaded from anywhere; every text escaped."""

import base64
import io
from collections.abc import Mapping, Sequence

from PIL import Image

from boxset.dataset.records import KEPT
from boxset.report.html import Html, coded, tag
from boxset.web.preview import Row, Shot
from boxset.wording import counted

SIDE = 320  # of the pictures on the page; shown at half of it
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
STYLE = """
:root{color-scheme:light dark;--paper:#fbfaf8;--card:#fff;--ink:#1d1e20;--soft:#62676d;--line:#e4e2dd;--accent:#1f6f54;--bad:#b3392f;--warn:#8a5600;--badly:#fbeae8;
--warmly:#fbf1df}
@media screen and (prefers-color-scheme:dark){
:root{--paper:#16181a;--card:#1e2124;--ink:#e9e8e5;--soft:#a0a5ab;--line:#33373b;--accent:#6fcaa5;--bad:#f0958c;--warn:#e7ae56;--badly:#3b2321;--warmly:#372c19}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1400px;padding:1.6rem 1.4rem 4rem;background:var(--paper);color:var(--ink);
font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
h1,h2,nav a{overflow-wrap:anywhere}
h1{font-size:1.7rem;margin:0 0 .2rem}h2{font-size:1.3rem;margin:2.4rem 0 0}.row{font-size:1.02rem;margin:2rem 0 .1rem;overflow-wrap:anywhere}.row.bare{margin-top:.9rem}
p{margin:.15rem 0 .6rem;color:var(--soft);max-width:95ch;overflow-wrap:anywhere}
p b{color:var(--ink);font-weight:600}.late{color:var(--warn)}
code{font:.9em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
ul{list-style:none;margin:.5rem 0 0;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(164px,1fr));gap:.7rem}
li{background:var(--card);border:1px solid var(--line);border-radius:9px;overflow:hidden;display:flex;flex-direction:column}
li>div:first-child{height:130px;display:flex;align-items:center;justify-content:center;background:#80808014}
img{max-width:100%;max-height:130px;display:block}
li.out img{opacity:.38}li.out{border-style:dashed}
.words{padding:.4rem .55rem .55rem;font-size:.8rem;line-height:1.35;min-width:0}
.words span{display:block;overflow-wrap:anywhere}
.words b{font-weight:400;display:inline-block}
.words .line{white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.soft{color:var(--soft)}
em{display:inline-block;font-style:normal;font-size:.74rem;border-radius:4px;padding:.02rem .34rem;margin:.18rem .22rem 0 0;background:var(--warmly);color:var(--warn)}
em.bad{background:var(--badly);color:var(--bad)}
a{color:inherit;text-decoration-color:var(--line)}a:hover{text-decoration-color:currentcolor}
nav{display:flex;flex-wrap:wrap;gap:.2rem 1rem}nav a{color:var(--accent)}
@media(max-width:600px){body{padding:1.1rem .9rem 3rem}ul{grid-template-columns:repeat(auto-fill,minmax(150px,1fr))}}
@media print{
:root{color-scheme:light;--paper:#fff}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
html{font-size:12px}body{max-width:none;padding:0;font-size:1rem}nav{display:none}
h1,h2,h3,p{break-after:avoid}li{break-inside:avoid}.words .line{white-space:normal}
ul{grid-template-columns:repeat(auto-fill,minmax(122px,1fr));gap:.5rem}li>div:first-child{height:96px}img{max-height:96px}}
"""
WHY = {
    "duplicate": "copy of another", "duplicate_address": "address seen above", "reject_word": "reject word", "site_limit": "site is full", "too_small": "too small",
    "odd_shape": "odd shape", "licence": "licence", "thumbnail": "thumbnail", "placeholder": "placeholder", "drawing": "drawing", "screenshot": "screenshot",
    "catalogue": "catalogue shot", "animated": "animated", "timeout": "did not answer in time",
}  # fmt: skip
"""What stands on a picture that would be left out."""


def page(rows: Mapping[str, Sequence[Row]]) -> str:
    """Return the page of one or several categories."""
    title = next(iter(rows)) if len(rows) == 1 else counted(len(rows), "category")
    links = tag("nav", *(tag("a", name, href=f"#{name}") for name in rows), aria_label="Categories") if len(rows) > 1 else None
    said = (
        "What each source’s class and each search brings for it, as it came. Dashed and faint: the crawl would leave it out, for the reason in red; "
        "a word in yellow: kept, with that flag."
    )
    parts = [tag("h1", f"Preview: {title}"), tag("p", said), *([links] if links else [])]
    for category, found in rows.items():
        parts += [tag("h2", category, id=category)] if links else []
        parts += [_row(row, "h3" if links else "h2") for row in found] or [tag("p", "It names no class of any source that is on, and no query.")]
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">{tag("title", f"{title}: preview")}<style>{STYLE}</style>'
    )
    return f'<!doctype html><html lang="en"><head>{head}</head><body><main>{"".join(map(str, parts))}</main></body></html>'


def _row(row: Row, heading: str) -> Html:
    shots = tag("ul", *map(_shot, row.shots)) if row.shots else None
    said = tag("p", coded(row.said), class_="late") if row.said else None
    title = tag(heading, row.title, class_="row" if shots else "row bare")
    return Html("".join(str(part) for part in (title, _counts(row), said, shots) if part is not None))


def _counts(row: Row) -> Html | None:
    """Return one line of what became of the row's pictures."""
    if not row.counts:
        return None
    kept = row.counts.get(KEPT, 0)
    others = [
        f"{WHY.get(name, name.replace('_', ' '))} {n}" for name, n in sorted(row.counts.items(), key=lambda item: (-item[1], item[0])) if name != KEPT
    ]
    left = f"; left out: {', '.join(others)}" if others else ""
    return tag("p", tag("b", f"{kept} of {counted(sum(row.counts.values()), 'picture')} would be kept"), left)


def _shot(shot: Shot) -> Html:
    bare = shot.title.strip() or shot.url.rsplit("/", 1)[-1]
    has_page = shot.landing_url.startswith(("http://", "https://"))
    title = tag("a", bare, href=shot.landing_url, rel="noopener noreferrer", target="_blank") if has_page else bare
    reason = WHY.get(shot.dropped, shot.dropped.replace("_", " "))
    detail = f": {shot.detail}" if shot.dropped in ("reject_word", "site_limit", "licence") and shot.detail else ""
    marks = [tag("em", f"{reason}{detail}", class_="bad")] if shot.dropped else []
    marks += [tag("em", flag) for flag in shot.flags if flag != shot.dropped]
    return tag(
        "li",
        tag("div", Html(f'<img alt="" loading="lazy" src="data:image/jpeg;base64,{_small(shot)}">')),
        tag(
            "div",
            tag("span", title, title=bare, class_="line"),
            tag("span", shot.site, class_="soft line", title=shot.url) if shot.site else None,
            tag("span", f"{shot.width}×{shot.height} · ", tag("b", shot.licence or "licence unknown"), class_="soft"),
            *marks,
            class_="words",
        ),
        class_="out" if shot.dropped else "",
    )


def _small(shot: Shot) -> str:
    with Image.open(shot.file, formats=("JPEG", "PNG")) as opened:
        opened.draft("RGB", (SIDE, SIDE))
        small = opened.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=74)
    return base64.b64encode(out.getvalue()).decode()
