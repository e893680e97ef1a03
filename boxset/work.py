"""The only parallelism: threads and processes here, a cluster behind the same calls one day."""

import gc
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def in_threads(do: Callable[[A], B], items: Iterable[A], *, workers: int, ahead: int = 4) -> Iterator[B]:
    """Yield `do(item)` in the order of `items`, running `workers` at once and never more than `workers * ahead` in hand."""
    with ThreadPoolExecutor(workers, thread_name_prefix="boxset") as pool:
        yield from _in_order(pool, do, items, in_hand=workers * ahead)


def in_processes(do: Callable[[A], B], items: Iterable[A], *, workers: int, ahead: int = 4) -> Iterator[B]:
    """As `in_threads`, in processes that start afresh (spawned), so that `do` and its items must be picklable."""
    if workers <= 1:
        yield from map(do, items)
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from _in_order(pool, do, items, in_hand=workers * ahead)


def _in_order(pool: Executor, do: Callable[[A], B], items: Iterable[A], *, in_hand: int) -> Iterator[B]:
    waiting: deque[Future[B]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(do, item))
            if len(waiting) >= in_hand:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


class Behind:
    """Runs calls in one thread, in their order, while the caller goes on; never more than one call behind it."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="boxset-behind")
        self._last: Future[None] | None = None

    def run(self, do: Callable[[], None]) -> None:
        """Wait for the call before, raise what it raised, and start this one."""
        self.wait()
        self._last = self._pool.submit(do)

    def wait(self) -> None:
        """Wait until nothing runs; raise what the last call raised."""
        if self._last is not None:
            last, self._last = self._last, None
            last.result()

    def close(self) -> None:
        """Wait for the thread's end."""
        self._pool.shutdown()


def batched(items: Iterable[A], size: int) -> Iterator[list[A]]:
    """Yield the items in lists of at most `size`."""
    remaining = iter(items)
    while part := list(islice(remaining, size)):
        yield part


@contextmanager
def without_collection() -> Iterator[None]:
    """Keep Python's garbage collector from walking millions of new objects again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
