"""How far a crawl is: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Self

from boxset.terminal import console, say

EVERY_S = 30.0
EVERY_TERMINAL_S = 0.2
RATE_OVER_S = 20.0  # what was known already comes in a moment, and says nothing of the rest


class Progress:
    """Shows kept, dropped, rate and time left; a context manager. `say` prints a line without breaking the bar."""

    def __init__(self, label: str, total: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._label, self._total, self._now = label, total, now
        self._kept = self._seen = 0
        self._bar: Any = None
        self._shown = now()
        self._past = deque([(self._shown, 0)])

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[says]}"))
            self._bar = Bar(*columns, console=console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task(self._label, total=self._total, says="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def say(self, text: str) -> None:
        """Print a line."""
        if self._bar is not None:
            self._bar.console.print(f"{self._label}: {text}", markup=False, highlight=False, soft_wrap=True)
        else:
            say(f"{self._label}: {text}")

    def show(self, kept: int, seen: int) -> None:
        """Show how far it is."""
        self._kept, self._seen = kept, seen
        now = self._now()
        if now - self._shown < (EVERY_S if self._bar is None else EVERY_TERMINAL_S) and kept < self._total:
            return
        self._shown = now
        self._past.append((now, kept))
        while len(self._past) > 2 and self._past[1][0] < now - RATE_OVER_S:
            self._past.popleft()
        if self._bar is not None:
            self._bar.update(self._task, completed=kept, says=self.says())
        elif kept < self._total:
            self.say(self.says())

    def says(self) -> str:
        """Return it in words: `412 of 1,000 kept, 208 dropped, 31.5 pictures/s, 0:19 left`."""
        then, kept = self._past[0]
        rate = (self._kept - kept) / max(self._now() - then, 1e-9)
        left = f", {_clock((self._total - self._kept) / rate)} left" if rate and self._kept < self._total else ""
        return f"{self._kept:,} of {self._total:,} kept, {self._seen - self._kept:,} dropped, {rate:.1f} pictures/s{left}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
