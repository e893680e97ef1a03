"""`boxset diff`: what changed between two versions, box by box."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from boxset.errors import ProjectError
from boxset.terminal import console, say
from boxset.wording import counted

if TYPE_CHECKING:
    from boxset.compare.diff import Diff
    from boxset.dataset.coco import Coco

PICTURE_BYTES = 12_000_000  # of thumbnails in a page


@click.command()
@click.argument("old", default="HEAD", metavar="[REV]")
@click.argument("new", required=False, metavar="[REV]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: every change.")
@click.option("--md", "as_markdown", is_flag=True, help="Print Markdown, for a pull request.")
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with old and new boxes drawn on the pictures.")
@click.option("--exit-code", is_flag=True, help="Exit 1 where anything changed.")
def command(old: str, new: str | None, *, as_json: bool, as_markdown: bool, page: Path | None, exit_code: bool) -> None:
    """Say what changed from one version to another: pictures, boxes added, removed, moved and relabelled, splits, licences.

    REV is anything that git knows (default: HEAD), or a frozen version of test; without a second one, the work tree. Says of test whether it is
    the same. Reads annotations alone: no picture is fetched.
    """
    from boxset.api import read_version
    from boxset.compare.diff import diff

    before, after = read_version(_revision(old)), read_version(_revision(new) if new else None)
    found = diff(before, after, names=(old, new or "work tree"))
    if page is not None:
        _write_page(page, found, before, after)
    if as_json:
        import msgspec

        say(msgspec.json.format(msgspec.json.encode(found)).decode())
    elif as_markdown:
        from boxset.report.markdown import diff_markdown

        say(diff_markdown(found), nl=False)
    elif page is None:
        _print(found)
    else:
        say(f"{page}: {counted(len(found.image_changes), 'picture')} and {counted(len(found.box_changes), 'box')} changed")
    if exit_code and not found.is_empty:
        raise SystemExit(1)


def _revision(name: str) -> str:
    """Return the commit of a frozen version that git has no tag of; any other name as it is. Raises ProjectError where git has a branch of that name elsewhere."""
    from boxset.dataset.frozen import frozen_path, read_frozen
    from boxset.history import Revision, has_tag, is_revision
    from boxset.params import FROZEN_NAME

    if not FROZEN_NAME.fullmatch(name) or not frozen_path(name).is_file() or has_tag(name):
        return name
    commit = read_frozen(frozen_path(name)).commit
    if is_revision(name) and Revision(name).commit != commit:
        do = f"Name {commit[:9]}, or refs/heads/{name} for the branch; `git tag {name} {commit[:9]}` gives the name to the frozen one"
        raise ProjectError(f"the test set was frozen under this name at {commit[:9]}, and git has a branch of the name at another commit", where=name, do=do)
    return commit


def _print(found: "Diff") -> None:
    from boxset.report.terminal import diff_text

    console(highlight=False).print(diff_text(found), crop=False)


def _write_page(page: Path, found: "Diff", before: "dict[str, Coco]", after: "dict[str, Coco]") -> None:
    from boxset.files import write_text
    from boxset.report.diff_page import diff_page
    from boxset.report.pictures import Pictures, picture_folders

    pictures = Pictures(picture_folders(Path()), budget=PICTURE_BYTES)
    write_text(page, diff_page(found, before, after, pictures))
