"""The one way to the terminal: whatever stands in a text, no control character of it arrives there."""

from collections.abc import Iterable
from typing import Any

import click

from boxset.text import visible


def say(text: str = "", *, nl: bool = True, **style: Any) -> None:
    """Print text, in click's `style` if there is one."""
    shown = visible(text)
    click.echo(click.style(shown, **style) if style else shown, nl=nl)


def console(**options: Any) -> Any:
    """Return a rich console; `options` are its own."""
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class Terminal(Console):
        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(visible(segment.text), segment.style)

    return Terminal(**options)
