"""Pieces of HTML that the report and the diff are made of. Every text is escaped here, where it enters."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape as _escape
from importlib.resources import files

from boxset.text import visible


@dataclass(frozen=True)
class Html:
    """Text that is HTML already."""

    text: str

    def __str__(self) -> str:
        """Return the HTML."""
        return self.text


def escape(text: str) -> str:
    """Return text as HTML, for an attribute too; control characters and those that turn the direction of reading are shown as such."""
    return _escape(visible(text))


Content = Html | str | int | float | None


def html(content: Content) -> str:
    """Return HTML for a value: escaped text, numbers with thousands separated, nothing for None."""
    if isinstance(content, Html):
        return content.text
    if content is None:
        return ""
    return escape(number(content) if isinstance(content, int | float) else content)


def number(value: float) -> str:
    """Return a number as it is read: 12,345 or 3.14."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def percent(part: float, whole: float) -> str:
    """Return a share in percent, or a dash of nothing."""
    if not whole:
        return "–"
    share = 100 * part / whole
    return f"{share:.0f}\N{NO-BREAK SPACE}%" if share >= 10 or share == 0 else f"{share:.1f}\N{NO-BREAK SPACE}%"


def tag(name: str, *contents: Content, **attributes: str) -> Html:
    """Return an element; `class_` and `aria_label` spell what Python cannot; an empty attribute is left out."""
    spelled = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items() if value)
    return Html(f"<{name}{spelled}>{''.join(map(html, contents))}</{name}>")


def coded(sentence: str) -> Html:
    """Return a sentence in which `…` is code."""
    parts = sentence.split("`")
    return Html("".join(html(tag("code", part)) if position % 2 else escape(part) for position, part in enumerate(parts)))


def joined(parts: Iterable[Content]) -> Html:
    """Return parts one after the other."""
    return Html("\n".join(html(part) for part in parts))


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading and the class of its cells (`left`, `chart`, `words`)."""

    title: str
    kind: str = ""


def table(columns: Sequence[Column], rows: Iterable[Sequence[Content]], *, name: str, feet: Sequence[Sequence[Content]] = (), slim: bool = False) -> Html:
    """Return a table, which scrolls by keys too where it is wider than the screen; the first cell of each row is its heading. Slim: its chart leaves room for words."""
    head = joined(tag("th", c.title, scope="col", class_="left" if c.kind else "") for c in columns)
    body = joined(tag("tr", _row(columns, row)) for row in rows)
    parts = [tag("thead", tag("tr", head)), tag("tbody", body)]
    if feet:
        parts.append(tag("tfoot", joined(tag("tr", _row(columns, row)) for row in feet)))
    return tag("div", tag("table", *parts, class_="slim" if slim else ""), class_="wide", role="group", tabindex="0", aria_label=f"Table: {name}")


def _row(columns: Sequence[Column], cells: Sequence[Content]) -> Html:
    first, *rest = cells
    return joined([tag("th", first, scope="row"), *(tag("td", cell, class_=c.kind) for c, cell in zip(columns[1:], rest, strict=True))])


def legend(colours: Mapping[str, str]) -> Html:
    """Return what each colour means."""
    return tag("ul", *(tag("li", tag("i", style=f"background:{colour}"), name) for name, colour in colours.items()), class_="legend")


def box_keys(kinds: Mapping[str, str]) -> Html:
    """Return what each kind of drawn box means, with a sample of its line: kinds are classes of the style sheet."""
    return tag("ul", *(tag("li", _sample(kind), words) for kind, words in kinds.items()), class_="legend keys")


def _sample(kind: str) -> Html:
    return Html(f'<svg viewBox="0 0 26 16" aria-hidden="true"><rect class="{kind}" x="2" y="2" width="22" height="12"/></svg>')


def tiles(facts: Iterable[tuple[Content, str]]) -> Html:
    """Return headline numbers, each with what it counts."""
    return tag("div", *(tag("div", tag("b", value), tag("span", label), class_="tile") for value, label in facts), class_="tiles")


def section(anchor: str, title: str, *contents: Content) -> Html:
    """Return a section with a heading that can be linked to."""
    return tag("section", tag("h2", title, id=f"{anchor}-title"), *contents, id=anchor, aria_labelledby=f"{anchor}-title")


def page(title: str, header: Content, sections: Mapping[str, tuple[str, Html]], *, footer: str) -> str:
    """Return a whole page that needs no network: sections by anchor, each with its name in the menu."""
    links = tag("nav", tag("div", *(tag("a", name, href=f"#{anchor}") for anchor, (name, _) in sections.items())), aria_label="Sections")
    style = files("boxset.report").joinpath("page.css").read_text(encoding="utf-8")
    body = joined([tag("header", tag("h1", title), header), links, tag("main", joined(part for _, part in sections.values())), tag("footer", footer)])
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
    return f'<!doctype html>\n<html lang="en">\n<head>{head}\n<style>\n{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n'
