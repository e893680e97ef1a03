"""What the stand-in's hosts are given and give back."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """One HTTP request as it came in; header names in small letters; `path` still percent-encoded, without the query."""

    method: str
    host: str  # without port
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """One HTTP answer. `cut_at` breaks the body off there while Content-Length promises all; `slow_s` waits before answering."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None
    slow_s: float = 0.0


Host = Callable[[Request], Answer]
"""A host of the stand-in's outside."""
