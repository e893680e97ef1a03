"""The one way to the terminal: whatever stands in a text, no control character of it arrives there."""

from collections.abc import Iterable
from typing import Any

import click

from boxset.text import visible


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


def console(**options: Any) -> Any:
    """Return a rich console; `options` are its own."""
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class Terminal(Console):
        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(visible(segment.text), segment.style)

    return Terminal(**options)
