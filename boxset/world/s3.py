"""S3 over HTTP, on disk: enough of the protocol for boto3 and s3fs, path-style, with errors as AWS spells them.

Objects are files named by their quoted keys. Conditional writes (`If-None-Match: *`, `If-Match`) hold between the threads of one process.
"""

import hashlib
from pathlib import Path
from threading import RLock
from urllib.parse import parse_qs, quote, unquote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from boxset.world.http import Answer, Request

BUCKETS = ("boxset-embedded",)
CORS = b"<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>"
PAGE = 1000


class S3:
    """Buckets in a folder."""

    def __init__(self, state: Path) -> None:
        self._root, self._lock = state, RLock()
        for bucket in BUCKETS:
            (state / bucket).mkdir(parents=True, exist_ok=True)

    def answer(self, request: Request) -> Answer:
        """Answer one request."""
        bucket, _, key = unquote(request.path).lstrip("/").partition("/")
        asked = parse_qs(request.query, keep_blank_values=True)
        if "authorization" not in request.headers:
            return _error(403, "AccessDenied", "Access Denied")
        with self._lock:
            if not bucket:
                return Answer(
                    status=200,
                    body=_xml(
                        "ListAllMyBucketsResult", "".join(f"<Buckets><Bucket><Name>{b.name}</Name></Bucket></Buckets>" for b in self._root.iterdir())
                    ),
                )
            if request.method == "PUT" and not key and not asked:
                (self._root / bucket).mkdir(exist_ok=True)
                return Answer()
            if not (self._root / bucket).is_dir():
                return _error(404, "NoSuchBucket", "The specified bucket does not exist")
            return self._object(request, bucket, key, asked) if key else self._bucket(request, bucket, asked)

    def get(self, bucket: str, key: str) -> bytes | None:
        """Return an object's content for the stand-in's own services, or None."""
        path = self._path(bucket, key)
        return path.read_bytes() if path.is_file() else None

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Store an object for the stand-in's own services."""
        with self._lock:
            self._write(self._path(bucket, key), content)

    def _path(self, bucket: str, key: str) -> Path:
        return self._root / bucket / (quote(key, safe="") or "%")

    def _write(self, path: Path, content: bytes) -> None:
        part = path.with_name(f".{hashlib.sha256(path.name.encode()).hexdigest()[:16]}.part")
        part.write_bytes(content)
        part.replace(path)

    def _bucket(self, request: Request, bucket: str, asked: dict[str, list[str]]) -> Answer:
        if request.method == "HEAD":
            return Answer(headers={"x-amz-bucket-region": "us-east-1"})
        if "location" in asked:
            return Answer(body=_xml("LocationConstraint", ""))
        if "cors" in asked:
            return Answer() if request.method == "PUT" else Answer(body=CORS)
        if request.method == "POST" and "delete" in asked:
            keys = [node.text or "" for node in ElementTree.fromstring(request.body).iter() if node.tag.endswith("Key")]
            for key in keys:
                self._path(bucket, key).unlink(missing_ok=True)
            return Answer(body=_xml("DeleteResult", "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)))
        return self._list(bucket, {name: values[0] for name, values in asked.items()})

    def _list(self, bucket: str, asked: dict[str, str]) -> Answer:
        prefix, delimiter, after = (
            asked.get("prefix", ""),
            asked.get("delimiter", ""),
            asked.get("continuation-token", "") or asked.get("start-after", ""),
        )
        keys = sorted(unquote(path.name) for path in (self._root / bucket).iterdir() if not path.name.startswith("."))
        keys = [key for key in keys if key.startswith(prefix) and key > after]
        folders = {prefix + key[len(prefix) :].partition(delimiter)[0] + delimiter for key in keys if delimiter and delimiter in key[len(prefix) :]}
        plain = [key for key in keys if not (delimiter and delimiter in key[len(prefix) :])]
        shown, more = plain[: int(asked.get("max-keys", PAGE))], len(plain) > int(asked.get("max-keys", PAGE))
        body = "".join(self._entry(bucket, key) for key in shown) + "".join(
            f"<CommonPrefixes><Prefix>{escape(f)}</Prefix></CommonPrefixes>" for f in sorted(folders)
        )
        token = f"<NextContinuationToken>{escape(shown[-1])}</NextContinuationToken>" if more else ""
        head = f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(shown)}</KeyCount><IsTruncated>{str(more).lower()}</IsTruncated>{token}"
        return Answer(body=_xml("ListBucketResult", head + body))

    def _entry(self, bucket: str, key: str) -> str:
        content = self._path(bucket, key).read_bytes()
        etag = _etag(content).replace('"', "&quot;")
        return f"<Contents><Key>{escape(key)}</Key><Size>{len(content)}</Size><ETag>{etag}</ETag><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"

    def _object(self, request: Request, bucket: str, key: str, asked: dict[str, list[str]]) -> Answer:
        path = self._path(bucket, key)
        if request.method == "PUT":
            if request.headers.get("if-none-match") == "*" and path.exists():
                return _error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
            if refusal := _unmatched(request, path):
                return refusal
            content = _plain(request)
            self._write(path, content)
            return Answer(headers={"ETag": _etag(content)})
        if request.method == "DELETE":
            if refusal := _unmatched(request, path):
                return refusal
            path.unlink(missing_ok=True)
            return Answer(status=204)
        if request.method == "POST" or asked.keys() & {"uploads", "uploadId"}:
            return _error(501, "NotImplemented", "The stand-in takes whole objects only")
        if not path.is_file():
            return _error(404, "NoSuchKey", "The specified key does not exist.")
        content = path.read_bytes()
        return Answer(
            body=content, headers={"ETag": _etag(content), "Content-Type": "application/octet-stream", "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        )


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def _unmatched(request: Request, path: Path) -> Answer | None:
    """Return the refusal of a write or deletion on the condition that an object is as it was read (`If-Match`), where it is not."""
    wanted = request.headers.get("if-match", "").strip('"')
    if not wanted:
        return None
    if not path.is_file():
        return _error(404, "NoSuchKey", "The specified key does not exist.")
    if wanted in ("*", _etag(path.read_bytes()).strip('"')):
        return None
    return _error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")


def _plain(request: Request) -> bytes:
    """Return a body without the chunks and signatures of aws-chunked."""
    if "aws-chunked" not in request.headers.get("content-encoding", "") and not request.headers.get("x-amz-content-sha256", "").startswith(
        "STREAMING"
    ):
        return request.body
    parts, left = [], request.body
    while left:
        head, _, rest = left.partition(b"\r\n")
        size = int(head.partition(b";")[0], 16)
        if not size:
            break
        parts.append(rest[:size])
        left = rest[size + 2 :]
    return b"".join(parts)


def _xml(name: str, inner: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?><{name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inner}</{name}>'.encode()


def _error(status: int, code: str, message: str) -> Answer:
    return Answer(
        status=status,
        body=f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode(),
        headers={"Content-Type": "application/xml"},
    )
