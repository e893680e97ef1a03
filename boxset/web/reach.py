"""Whether it is the sites that do not answer, or this machine that reaches nobody: of a network that is down no address dies."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from threading import Lock

from boxset.dataset.reasons import NOBODY, Reason, Refusal
from boxset.errors import ServiceError
from boxset.web.addresses import site_of
from boxset.web.fetcher import Fetched

UNASKED = (Reason.BAD_ADDRESS, Reason.PRIVATE_ADDRESS, Reason.ROBOTS, Reason.RATE_LIMITED)  # may be known without asking
IN_A_ROW = 40  # addresses without one answer between them: then what has answered before is asked once more
SITES = 5  # where nothing has ever answered, so many sites are not all dead
ASKED_AGAIN = 3  # of those that answered in earlier runs

Get = Callable[[str], Fetched | Refusal]


class Reach:
    """Hands on what addresses answer, from many threads. Raises ServiceError once none does any more, not even one that did before.

    `before`: addresses that answered in earlier runs; `others`: that answered for other categories and sources, and are asked where none of those
    does. `is_online`: whether a search has brought something in this run, so that the network is there.
    """

    def __init__(
        self, get: Get, look: Get, *, where: str, before: Iterable[str] = (), others: Iterable[str] = (), is_online: Callable[[], bool] = lambda: False
    ) -> None:
        self._get, self._look, self._where, self._is_online, self._lock = get, look, where, is_online, Lock()
        self._answered = list({site_of(url): url for url in before}.values())[:ASKED_AGAIN]
        self._others = others
        self._has_answered, self._is_over = False, False
        self._why, self._silent, self._sites = "", 0, set[str]()

    def get(self, url: str) -> Fetched | Refusal:
        """Return what an address answers."""
        if self._is_over:
            raise self._nobody()
        answer = self._get(url)
        with self._lock:
            if isinstance(answer, Refusal) and answer.reason in NOBODY:
                self._why = answer.detail
                self._silent += 1
                self._sites.add(site_of(url))
                self._is_over = self._is_over or (self._silent % IN_A_ROW == 0 and self._reaches_nobody())
            elif not isinstance(answer, Refusal) or answer.reason not in UNASKED:
                self._answered, self._has_answered, self._silent = [url], True, 0
                self._sites.clear()
        if self._is_over:
            raise self._nobody()
        return answer

    def check(self) -> None:
        """Raise ServiceError where of several sites none has answered at all."""
        if not self._has_answered and len(self._sites) >= SITES and self._reaches_nobody():
            raise self._nobody()

    def _reaches_nobody(self) -> bool:
        if not self._answered and (len(self._sites) < SITES or self._is_online()):
            return False
        answers = map(self._look, chain(self._answered, self._of_others()))
        return all(isinstance(answer, Refusal) and answer.reason in NOBODY for answer in answers)

    def _of_others(self) -> Iterator[str]:
        """Yield an address of each of a few more sites."""
        own = {site_of(url) for url in self._answered}
        seen = set(own)
        for url in self._others:
            if len(seen - own) == ASKED_AGAIN:
                return
            if site_of(url) not in seen:
                seen.add(site_of(url))
                yield url

    def _nobody(self) -> ServiceError:
        what = "no site answers any more" if self._has_answered else "no site answers"
        why = f"the last one: {self._why}; " if self._why else ""
        do = "What was fetched is kept, and who did not answer is asked again: run it again once there is a network"
        do += "" if self._answered else ". If there is one, these sites are gone: take them out of the list, or search for something else"
        return ServiceError(f"{what} ({why}is this machine online?)", where=self._where, do=do)
