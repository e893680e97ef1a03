"""The one way to the terminal: whatever stands in a text, no control character of it arrives there."""

import io
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from boxset.text import visible

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.table import Table

WIDEST = 300  # columns of a table that is printed whole


def show_what_can_be_shown() -> None:
    """Let a terminal or pipe whose encoding lacks a character get `?` in its place, and not end the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def say(text: str = "", *, nl: bool = True, **style: Any) -> None:
    """Print text, in click's `style` if there is one."""
    shown = visible(text)
    click.echo(click.style(shown, **style) if style else shown, nl=nl)


class WholeHelp(click.Group):
    """A group of commands whose `--help` gives the first sentence of each whole: click cuts it off to fit one line."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.commands[name].get_short_help_str(limit=1000)) for name in self.list_commands(ctx)])


def print_whole(terminal: "Console", table: "Table") -> None:
    """Print a table with its columns whole, however narrow the terminal, which is as wide from then on: what is cut cannot be copied into a command."""
    terminal.width = whole_width(terminal, table, terminal.options)
    terminal.print(table)


def whole_width(terminal: "Console", table: "Table", options: "ConsoleOptions") -> int:
    """Return how wide a table is printed so that its columns are whole; no less than there is room for."""
    return max(options.max_width, terminal.measure(table, options=options.update(width=WIDEST)).maximum)


def console(**options: Any) -> Any:
    """Return a rich console; `options` are its own."""
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class Terminal(Console):
        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(visible(segment.text), segment.style)

    return Terminal(**options)
