"""The only parallelism but the decoders: threads here, a cluster behind the same calls one day."""

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count, islice
from threading import Condition, Lock, Thread
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")

FAR_AHEAD = 2048


def in_threads(do: Callable[[A], B], items: Iterable[A], *, workers: int, ahead: int = 4) -> Iterator[B]:
    """Yield `do(item)` in the order of `items`, running `workers` at once and never more than `workers * ahead` in hand."""
    waiting: deque[Future[B]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="boxset") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(do, item))
                if len(waiting) >= workers * ahead:
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


@dataclass(frozen=True)
class Flow:
    """How much is done at once: `workers` items, of them `each` of one lane (0: any number), and `ahead()` in hand, done or not."""

    workers: int
    each: int = 0
    ahead: Callable[[], int] = lambda: FAR_AHEAD


def in_lanes(do: Callable[[A], "B | Future[B]"], items: Iterable[A], *, lane: Callable[[A], str], flow: Flow) -> Iterator[B]:
    """Yield `do(item)`, or what the future that it returns comes to, in the order of `items`.

    A lane that is slow keeps no more than its own places: the others go on past it, as far ahead as `flow` lets them. Items are
    taken from `items` in this thread, no earlier than somebody could begin with them.
    """
    line, source, in_hand = _Line(do, flow), iter(items), deque[_Task[A, B]]()
    more = True
    try:
        while more or in_hand:
            for _ in range(2):  # one more than what is given away, so that work grows and results are not kept waiting
                if not more or len(in_hand) >= max(1, flow.ahead()) or not line.has_room():
                    break
                item = next(source, line)
                if isinstance(item, _Line):
                    more = False
                else:
                    in_hand.append(line.add(item, lane(item)))
            if in_hand and line.wait_for(in_hand[0], or_room=more and len(in_hand) < flow.ahead()):
                yield in_hand.popleft().result.result()
    finally:
        line.stop()


@dataclass
class _Task(Generic[A, B]):
    number: int
    lane: str
    item: A
    result: "Future[B]" = field(default_factory=Future)


class _Line(Generic[A, B]):
    """Tasks that wait by lane, and the threads that do them, the first ones first."""

    def __init__(self, do: Callable[[A], "B | Future[B]"], flow: Flow) -> None:
        self._do, self._workers, self._each = do, flow.workers, flow.each or flow.workers
        self._spare = max(2, flow.workers // 4)  # what is taken before somebody is free for it, so that nobody waits
        lock = Lock()
        self._work, self._news = Condition(lock), Condition(lock)
        self._numbers, self._threads = count(), list[Thread]()
        self._waiting, self._busy, self._room = dict[str, deque[_Task[A, B]]](), dict[str, int](), dict[str, int]()
        self._open: list[tuple[int, str]] = []  # lanes with something to do and room for it, by their first number
        self._running = self._ready = 0
        self._stopped = False

    def has_room(self) -> bool:
        """Return whether somebody is, or is soon, without work."""
        return self._running + self._ready < self._workers + self._spare

    def add(self, item: A, lane: str) -> _Task[A, B]:
        """Put an item into its lane."""
        with self._work:
            task: _Task[A, B] = _Task(next(self._numbers), lane, item)
            self._waiting.setdefault(lane, deque()).append(task)
            self._reckon(lane)
            if len(self._threads) < min(self._workers, self._running + self._ready):
                self._threads.append(Thread(target=self._run, name=f"boxset-{len(self._threads)}", daemon=True))
                self._threads[-1].start()
            self._work.notify()
        return task

    def wait_for(self, task: _Task[A, B], *, or_room: bool) -> bool:
        """Wait until a task is done, or until there is room for another; return whether it is done."""
        with self._news:
            while not task.result.done() and not (or_room and self.has_room()):
                self._news.wait()
        return task.result.done()

    def stop(self) -> None:
        """Begin nothing more, and wait for what has begun."""
        with self._work:
            self._stopped = True
            self._work.notify_all()
        for thread in self._threads:
            thread.join()

    def _reckon(self, lane: str) -> None:
        """Count anew what could begin in a lane, and offer the lane where it is the first."""
        waiting, before = self._waiting[lane], self._room.get(lane, 0)
        room = min(len(waiting), self._each - self._busy.get(lane, 0))
        self._ready += room - before
        self._room[lane] = room
        if room and not before:
            heappush(self._open, (waiting[0].number, lane))
        if not waiting and not self._busy.get(lane):
            del self._waiting[lane], self._room[lane]
            self._busy.pop(lane, None)

    def _begun(self) -> _Task[A, B] | None:
        with self._work:
            while not self._open and not self._stopped:
                self._work.wait()
            if self._stopped:
                return None
            lane = heappop(self._open)[1]
            task = self._waiting[lane].popleft()
            self._ready -= self._room.pop(lane)
            self._busy[lane] = self._busy.get(lane, 0) + 1
            self._running += 1
            self._reckon(lane)
            return task

    def _run(self) -> None:
        while (task := self._begun()) is not None:
            outcome: B | Future[B] | BaseException
            try:
                outcome = self._do(task.item)
            except BaseException as err:  # noqa: BLE001 - raised where the result is taken
                outcome = err
            self._ended(task, outcome)

    def _ended(self, task: _Task[A, B], outcome: "B | Future[B] | BaseException") -> None:
        with self._news:
            self._running -= 1
            self._busy[task.lane] -= 1
            self._waiting.setdefault(task.lane, deque())
            self._reckon(task.lane)
            if self._open:
                self._work.notify()
            self._news.notify()
        if isinstance(outcome, Future):
            outcome.add_done_callback(lambda future: self._settle(task, future.exception() or future.result()))
        else:
            self._settle(task, outcome)

    def _settle(self, task: _Task[A, B], outcome: "B | BaseException") -> None:
        with self._news:
            if isinstance(outcome, BaseException):
                task.result.set_exception(outcome)
            else:
                task.result.set_result(outcome)
            self._news.notify()
