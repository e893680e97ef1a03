"""The only parallelism: threads and processes here, a cluster behind the same calls one day."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
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
