"""A server on loopback that speaks in raw bytes, so that it can break every rule of HTTP."""

import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread

Behave = Callable[["Guest"], bool | None]
"""Answers one request; true where the connection may be used for the next one."""


class Guest:
    """One connection to the site."""

    def __init__(self, site: "Site", link: socket.socket) -> None:
        self.site, self.link, self.path = site, link, ""

    def say(self, *parts: bytes) -> None:
        """Send bytes."""
        for part in parts:
            self.link.sendall(part)

    def answer(self, body: bytes = b"x" * 100, status: str = "200 OK", **headers: str) -> bool:
        """Send a proper answer."""
        lines = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.say(f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + body)
        return True

    def drip(self, part: bytes) -> None:
        """Send the same bytes again and again, slowly, until the other side has had enough."""
        while not self.site.closing.wait(0.05):
            self.say(part)

    def flood(self, part: bytes) -> None:
        """Send the same bytes as fast as they go, until the other side has had enough."""
        while not self.site.closing.is_set():
            self.say(part)

    def stall(self) -> None:
        """Say nothing until the other side has had enough."""
        self.link.recv(1)

    def reset(self) -> None:
        """Break the connection off with a reset."""
        self.link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.link.close()


class Site:
    """What is asked for, and by whom; `pages` says how each path is answered."""

    def __init__(self, pages: dict[str, Behave]) -> None:
        self.pages, self.asked, self.heads = pages, Counter[str](), list[bytes]()
        self._links: list[socket.socket] = []
        self.connections = 0
        self.closing, self._lock = Event(), Lock()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = int(self._listening.getsockname()[1])
        self._threads = [Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def url(self, path: str) -> str:
        """Return a path's address."""
        return f"http://127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        """End; nobody is left waiting."""
        self.closing.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for link in self._links:
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                link = self._listening.accept()[0]
            except OSError:
                return
            link.settimeout(20)
            self.connections += 1
            self._links.append(link)
            self._threads.append(Thread(target=self._serve, args=(link,), daemon=True))
            self._threads[-1].start()

    def _serve(self, link: socket.socket) -> None:
        guest, received = Guest(self, link), b""
        with link:
            while True:
                try:
                    while b"\r\n\r\n" not in received:
                        more = link.recv(65536)
                        if not more:
                            return
                        received += more
                    head, _, received = received.partition(b"\r\n\r\n")
                    if not self._one(guest, head):
                        return
                except OSError:
                    return

    def _one(self, guest: Guest, head: bytes) -> bool:
        guest.path = head.split(b" ", 2)[1].decode()
        with self._lock:
            self.asked[guest.path] += 1
            self.heads.append(head)
        behave = self.pages.get(guest.path.partition("?")[0]) or self.pages.get("*")
        return bool(behave(guest) if behave else guest.answer(b"", "404 Not Found"))


@contextmanager
def open_site(pages: dict[str, Behave]) -> Iterator[Site]:
    """Run a site for a while."""
    site = Site(pages)
    try:
        yield site
    finally:
        site.close()
