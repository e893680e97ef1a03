"""Raw files arrive whole or not at all, from servers that break off, forget, change their mind and lie; and open whatever packs them."""

import base64
import bz2
import gzip
import hashlib
import io
import lzma
import os
import re
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path

import boto3
import pytest
from urllib3 import HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    ResponseError,
    SSLError,
)

from boxset.endpoints import Endpoints
from boxset.errors import InputError, ParamsError, ServiceError
from boxset.sources.download import cause_of, download
from boxset.sources.raw import RawFiles, cached_name, mapped, opened
from tests.site import open_site

FIRST, SECOND = b"first" * 40_000, b"other" * 40_000


@dataclass
class Server:
    """A server whose answer to each request is a function of its number and headers: status, headers, body; `cut` bytes are sent of it."""

    address: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    answer: Callable[[int, dict[str, str]], tuple[int, dict[str, str], bytes, int | None]] = lambda *_: (404, {}, b"", None)


@pytest.fixture
def server() -> Iterator[Server]:
    """A hostile server."""
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.asked.append(headers)
            status, more, body, cut = state.answer(len(state.asked), headers)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **more}.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body if cut is None else body[:cut])

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    state.address = f"http://127.0.0.1:{served.server_address[1]}"
    yield state
    served.shutdown()
    served.server_close()


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOXSET_CACHE", str(tmp_path / "cache"))
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)


def ranged(content: bytes, headers: dict[str, str], *, etag: str, cut: int | None = None) -> tuple[int, dict[str, str], bytes, int | None]:
    """Answer as a good server does: a range of this version, or the whole of it where another one is asked for."""
    start = int(headers["range"].removeprefix("bytes=").rstrip("-")) if "range" in headers and headers.get("if-range") == etag else 0
    if start >= len(content):
        return 416, {"ETag": etag, "Content-Range": f"bytes */{len(content)}"}, b"", None
    extra = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
    return (206 if start else 200), {"ETag": etag, **extra}, content[start:], cut


def fetch(address: str, *, path: str = "") -> Path:
    """Fetch a file without waiting between tries."""
    return RawFiles(Endpoints(), contact="a@shop.example", path=path, files={}, sha256={}, sleep=lambda _: None).get("boxes", address)


def leftovers() -> list[str]:
    """What a download left beside finished files."""
    return [path.name for path in Path("cache").rglob("*") if path.name.endswith((".part", ".version"))]


def test_a_download_goes_on_where_it_broke_off(server: Server) -> None:
    server.answer = lambda number, headers: ranged(FIRST, headers, etag='"1"', cut=70_000 if number < 3 else None)

    assert fetch(f"{server.address}/a.csv").read_bytes() == FIRST
    assert [headers.get("range") for headers in server.asked] == [None, "bytes=70000-", "bytes=140000-"]
    assert leftovers() == []


def test_many_breaks_are_no_failure_as_long_as_something_arrives(server: Server) -> None:
    server.answer = lambda _, headers: ranged(FIRST, headers, etag='"1"', cut=20_000)

    assert fetch(f"{server.address}/a.csv").read_bytes() == FIRST
    assert len(server.asked) == 10


def test_a_file_that_changes_between_tries_is_fetched_anew(server: Server) -> None:
    server.answer = lambda n, h: ranged(FIRST, h, etag='"1"', cut=70_000) if n == 1 else ranged(SECOND, h, etag='"2"')

    assert fetch(f"{server.address}/a.csv").read_bytes() == SECOND
    assert server.asked[1]["if-range"] == '"1"'


def test_a_piece_of_another_version_is_never_appended(server: Server) -> None:
    def careless(number: int, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes, int | None]:
        if number == 1:
            return ranged(FIRST, headers, etag='"1"', cut=70_000)
        return ranged(SECOND, {**headers, "if-range": '"2"'}, etag='"2"')  # it ignores If-Range

    server.answer = careless

    assert fetch(f"{server.address}/a.csv").read_bytes() == SECOND
    assert ["range" in headers for headers in server.asked] == [False, True, False]


def test_a_server_that_ignores_ranges_starts_anew_and_one_that_sends_another_range_too(server: Server) -> None:
    server.answer = lambda n, h: ranged(FIRST, h if n != 2 else {}, etag='"1"', cut=70_000 if n == 1 else None)
    assert fetch(f"{server.address}/a.csv").read_bytes() == FIRST

    server.asked.clear()
    wrong = {"ETag": '"1"', "Content-Range": f"bytes 5-{len(FIRST) - 1}/{len(FIRST)}"}
    server.answer = lambda n, h: (206, wrong, FIRST[5:], None) if n == 2 else ranged(FIRST, h, etag='"1"', cut=70_000 if n == 1 else None)
    assert fetch(f"{server.address}/b.csv").read_bytes() == FIRST


def test_without_a_validator_a_part_is_never_continued(server: Server) -> None:
    server.answer = lambda n, _: (200, {}, FIRST, 70_000 if n == 1 else None)

    assert fetch(f"{server.address}/a.csv").read_bytes() == FIRST
    assert "range" not in server.asked[1]


@pytest.mark.parametrize("etag", ['W/"1"', ""])
def test_a_date_serves_where_there_is_no_strong_etag(server: Server, etag: str) -> None:
    date = "Thu, 01 Oct 2026 00:00:00 GMT"

    def dated(number: int, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes, int | None]:
        status, more, body, cut = ranged(FIRST, headers, etag=date, cut=70_000 if number == 1 else None)
        return status, {**more, "ETag": etag, "Last-Modified": date}, body, cut

    server.answer = dated

    assert fetch(f"{server.address}/a.csv").read_bytes() == FIRST
    assert (server.asked[1]["range"], server.asked[1]["if-range"]) == ("bytes=70000-", date)


def test_a_server_that_announces_more_than_it_has_is_given_up(server: Server) -> None:
    server.answer = lambda *_: (200, {"Content-Length": "999999", "ETag": '"1"'}, FIRST, None)

    with pytest.raises(ServiceError, match=r"does not answer: the connection broke off\. Run it again"):
        fetch(f"{server.address}/a.csv")

    assert not list(Path("cache").rglob("a.csv"))
    assert len(server.asked) < 10


@pytest.mark.parametrize(
    "lie",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
        b"HTTP/1.1 503 Busy\r\nRetry-After: \xb2\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_a_server_that_breaks_the_rules_of_http_is_one_that_does_not_answer(lie: bytes, tmp_path: Path) -> None:
    with open_site({"*": lambda guest: guest.say(lie)}) as site, pytest.raises(ServiceError, match=r"does not answer|answers HTTP 503"):
        download(site.url("/a.csv"), tmp_path / "a.csv", endpoints=Endpoints(), headers={}, sleep=lambda _: None)


@pytest.mark.parametrize("length", [b"\xb2", b"9" * 5000])
def test_a_length_that_is_no_number_is_none(length: bytes, tmp_path: Path) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\na,b\n1,2\n"
    with open_site({"*": lambda guest: guest.say(answer)}) as site:
        download(site.url("/a.csv"), tmp_path / "a.csv", endpoints=Endpoints(), headers={}, sleep=lambda _: None)

    assert (tmp_path / "a.csv").read_bytes() == b"a,b\n1,2\n"


def test_a_part_that_is_whole_already_is_taken(server: Server) -> None:
    server.answer = lambda _, headers: ranged(FIRST, headers, etag='"1"')
    target = Path("cache/raw") / cached_name(f"{server.address}/a.csv")
    target.parent.mkdir(parents=True)
    target.with_name(".a.csv.part").write_bytes(FIRST)
    target.with_name(".a.csv.version").write_text('"1"')

    assert fetch(f"{server.address}/a.csv").read_bytes() == FIRST


def test_what_differs_from_the_announced_md5_is_thrown_away(server: Server) -> None:
    said = base64.b64encode(hashlib.md5(SECOND).digest()).decode()
    server.answer = lambda *_: (200, {"x-goog-hash": f"crc32c=AAAA, md5={said}"}, FIRST, None)

    with pytest.raises(ServiceError, match="MD5"):
        fetch(f"{server.address}/a.csv")

    assert leftovers() == []


@pytest.mark.parametrize(
    ("body", "message"), [(b"<!DOCTYPE html><title>Sign in</title>", "a web page"), (b"version https://git-lfs.github.com/spec/v1\noid", "Git-LFS"), (b"", "empty")]
)
def test_an_error_page_with_status_200_does_not_stay_in_the_cache(server: Server, body: bytes, message: str) -> None:
    server.answer = lambda *_: (200, {}, body, None)

    with pytest.raises(InputError, match=message):
        fetch(f"{server.address}/a.csv")

    assert not list(Path("cache").rglob("*a.csv"))
    assert leftovers() == []


def test_nothing_is_fetched_without_a_contact_but_from_the_stand_in(server: Server) -> None:
    server.answer = lambda n, h: ranged(FIRST, h, etag='"1"')

    def files(endpoints: Endpoints) -> RawFiles:
        return RawFiles(endpoints, contact="", path="", files={}, sha256={}, sleep=lambda _: None)

    with pytest.raises(ParamsError) as caught:
        files(Endpoints()).get("boxes", f"{server.address}/a.csv")

    assert str(caught.value) == (
        "params.yaml: project.contact: empty, and nothing is fetched from the internet without one. "
        "Write an e-mail address or a page of yours: it is sent to every site that is fetched from"
    )
    assert server.asked == []
    assert files(Endpoints(gateway=server.address)).get("boxes", "https://a.example/a.csv").read_bytes() == FIRST


POOL, URL = HTTPSConnectionPool("no.example"), "https://no.example/a.csv"


@pytest.mark.parametrize(
    ("err", "said"),
    [
        (MaxRetryError(POOL, URL, NameResolutionError("no.example", POOL, OSError())), "no server of that name is found (is there a network?)"),  # type: ignore[arg-type]
        (MaxRetryError(POOL, URL, NewConnectionError(POOL, "refused")), "no connection: nothing listens there, or the network is down"),  # type: ignore[arg-type]
        (MaxRetryError(POOL, URL, ConnectTimeoutError()), "no connection within 20 s"),
        (MaxRetryError(POOL, URL, SSLError("x")), "its certificate is not accepted"),
        (MaxRetryError(POOL, URL, ResponseError("too many redirects")), "too many redirects"),
        (ReadTimeoutError(POOL, URL, "x"), "nothing came for 60 s"),
        (ProtocolError("IncompleteRead"), "the connection broke off"),
        (ConnectionResetError(), "the connection broke off"),
    ],
)
def test_the_cause_of_a_failure_is_said_in_words(err: Exception, said: str) -> None:
    assert cause_of(err) == said


def test_a_busy_server_is_asked_again_after_the_time_that_it_names_and_a_refusal_is_final(server: Server) -> None:
    waited: list[float] = []
    server.answer = lambda n, h: (503, {"Retry-After": "7"}, b"", None) if n == 1 else ranged(FIRST, h, etag='"1"')
    files = RawFiles(Endpoints(), contact="a@shop.example", path="", files={}, sha256={}, sleep=waited.append)
    assert files.get("boxes", f"{server.address}/a.csv").read_bytes() == FIRST
    assert waited[0] == 7

    server.asked.clear()
    server.answer = lambda *_: (404, {}, b"", None)
    with pytest.raises(ServiceError, match="answers HTTP 404"):
        fetch(f"{server.address}/b.csv")
    assert len(server.asked) == 1


def test_waits_between_tries_are_said_and_nobody_waits_after_the_last(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    waited: list[float] = []
    server.answer = lambda *_: (503, {}, b"", None)
    files = RawFiles(Endpoints(), contact="a@shop.example", path="", files={}, sha256={}, sleep=waited.append)

    with pytest.raises(ServiceError, match="answers HTTP 503"):
        files.get("boxes", f"{server.address}/a.csv")

    assert (waited, len(server.asked)) == ([1.0, 2.0, 4.0, 8.0], 5)
    assert capsys.readouterr().out.splitlines() == [f"{server.address}/a.csv: answers HTTP 503; asking again in {n} s" for n in (2, 4, 8)]


def test_addresses_that_differ_only_in_their_query_are_two_files_and_none_leaves_the_cache(server: Server) -> None:
    server.answer = lambda n, _: (200, {}, FIRST if n == 1 else SECOND, None)

    assert [fetch(f"{server.address}/get?file={n}").read_bytes() for n in "ab"] == [FIRST, SECOND]
    assert cached_name("https://h.example/../../etc/x y") == Path("h.example/etc/x_y")


def _fetch_in_process(address: str) -> bytes:
    return fetch(address).read_bytes()


def test_two_processes_fetch_a_file_once(server: Server) -> None:
    server.answer = lambda _, headers: ranged(FIRST, headers, etag='"1"')

    with get_context("spawn").Pool(2) as pool:
        got = pool.map(_fetch_in_process, [f"{server.address}/a.csv"] * 4)

    assert got == [FIRST] * 4
    assert len(server.asked) == 1


@pytest.fixture(scope="module")
def s3(s3_server: str) -> str:
    """An S3 server with a public and a private object. It asks for no signature; `private` stands for one that does."""
    client = boto3.client("s3", endpoint_url=s3_server, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1")
    client.create_bucket(Bucket="open-data")
    client.put_object(Bucket="open-data", Key="oi/boxes.csv", Body=FIRST)
    client.close()
    return s3_server


def test_an_s3_address_is_read_without_a_signature_whatever_credentials_there_are(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "stale")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "stale")

    assert fetch("https://elsewhere.example/boxes.csv", path="s3://open-data/oi").read_bytes() == FIRST


def test_a_private_bucket_is_asked_again_with_the_users_signature(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ENDPOINT_URL_S3": server.address, "ACCESS_KEY_ID": "me", "SECRET_ACCESS_KEY": "secret", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    server.answer = lambda number, headers: (403, {}, b"", None) if number == 1 else ranged(FIRST, headers, etag='"1"')

    assert fetch("s3://mine/oi/boxes.csv").read_bytes() == FIRST
    assert len(server.asked) == 2


def test_a_private_bucket_without_credentials_says_what_is_needed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ENDPOINT_URL_S3": server.address, "EC2_METADATA_DISABLED": "true", "SHARED_CREDENTIALS_FILE": "none"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    server.answer = lambda *_: (403, {}, b"", None)

    with pytest.raises(ServiceError, match=r"answers HTTP 403\. Export AWS_PROFILE"):
        fetch("s3://mine/oi/boxes.csv")


def packed(kind: str, content: bytes) -> Path:
    """A file packed in one of the usual ways."""
    path = Path(f"x.{kind}")
    if kind == "gz":
        path.write_bytes(gzip.compress(content))
    elif kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("__MACOSX/deep/._data.csv", b"x")
            archive.writestr("deep/other.txt", b"x")
            archive.writestr("deep/data.csv", content)
    elif kind.startswith("tar"):
        with tarfile.open(path, "w:gz" if kind.endswith("gz") else "w") as archive:
            info = tarfile.TarInfo("deep/data.csv")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    else:
        path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", ["plain", "gz", "zip", "tar", "tar.gz"])
def test_a_file_opens_whatever_packs_it(kind: str) -> None:
    path = packed(kind, FIRST)

    with opened(path, "data.csv") as stream:
        assert stream.read() == FIRST
    with mapped(path, "data.csv") as content:
        assert content.memory[:] == os.pread(content.file, len(FIRST) + 1, 0) == FIRST


@pytest.mark.parametrize(  # a plain tar has no checksum that could tell a turned byte
    ("kind", "damage"), [("tar", "cut"), *((kind, damage) for kind in ("gz", "zip", "tar.gz") for damage in ("cut", "turned"))]
)
def test_a_damaged_archive_is_an_error_that_names_it(kind: str, damage: str) -> None:
    content = os.urandom(400_000)
    path = packed(kind, content)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] if damage == "cut" else whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :])

    with pytest.raises(InputError, match=rf"x\.{kind}: "), opened(path, "data.csv") as stream:
        stream.read()


def marked(path: Path, where: int, value: int) -> None:
    """Change what a zip says of each of its members, in both places; `where` from the beginning of the local header."""
    content = bytearray(path.read_bytes())
    for mark, shift in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):
        for found in re.finditer(mark, bytes(content)):
            content[found.start() + where + shift] = value
    path.write_bytes(content)


@pytest.mark.parametrize(("where", "value", "said"), [(6, 1, "is encrypted"), (8, 9, "is packed by method 9, which is not read")])
def test_a_member_of_a_zip_that_cannot_be_unpacked_is_refused_by_name(where: int, value: int, said: str) -> None:
    marked(packed("zip", FIRST), where, value)

    with pytest.raises(InputError, match=rf"x\.zip: deep/data\.csv in it {said}\. Unpack it"), opened(Path("x.zip"), "data.csv"):
        pass
    with pytest.raises(InputError, match=rf"x\.zip: deep/data\.csv in it {said}\. Unpack it"):
        RawFiles(Endpoints(), contact="", path="x.zip", files={}, sha256={}).get("boxes", "data.csv")


@pytest.mark.parametrize(("pack", "name"), [(bz2.compress, "bzip2"), (lzma.compress, "xz")])
def test_packings_that_are_not_read_are_named(pack: Callable[[bytes], bytes], name: str) -> None:
    Path("x").write_bytes(pack(FIRST))

    with pytest.raises(InputError, match=f"x: packed by {name}, which is not read. Unpack it"), opened(Path("x"), "data.csv"):
        pass


def test_a_link_out_of_a_tar_is_refused_by_name() -> None:
    with tarfile.open("x.tar", "w") as archive:
        link = tarfile.TarInfo("deep/data.csv")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)

    with pytest.raises(InputError, match=r"x\.tar: deep/data\.csv in it is no file"), opened(Path("x.tar"), "data.csv"):
        pass


def test_a_broken_member_of_a_zip_that_holds_the_files_is_named() -> None:
    with zipfile.ZipFile("x.zip", "w") as archive:
        archive.writestr("data.csv", FIRST)
    whole = bytearray(Path("x.zip").read_bytes())
    whole[60] ^= 255
    Path("x.zip").write_bytes(whole)

    with pytest.raises(InputError, match=r"x\.zip: broken archive: Bad CRC-32"):
        RawFiles(Endpoints(), contact="", path="x.zip", files={}, sha256={}).get("boxes", "data.csv")


def test_what_a_macintosh_adds_to_a_zip_is_no_file_of_the_source() -> None:
    with zipfile.ZipFile("x.zip", "w") as archive:
        archive.writestr("__MACOSX/data.csv", b"x")
        archive.writestr("deep/data.csv", FIRST)

    assert RawFiles(Endpoints(), contact="", path="x.zip", files={}, sha256={}).get("boxes", "data.csv").read_bytes() == FIRST


def test_path_may_be_a_zip_that_holds_the_files() -> None:
    packed("zip", FIRST)
    files = RawFiles(Endpoints(), contact="", path="x.zip", files={}, sha256={})

    assert files.get("boxes", "https://elsewhere.example/v5/data.csv").read_bytes() == FIRST
    assert not files.has("labels", "https://elsewhere.example/labels.csv")


@pytest.mark.parametrize(("public", "there"), [("x.json.zip", "x.json"), ("x.json.zip", "x.json.gz"), ("b.csv", "b.csv.gz"), ("b.csv", "b.csv.zip")])
def test_a_folder_may_hold_a_file_packed_otherwise_than_its_publisher_packs_it(public: str, there: str) -> None:
    Path("folder").mkdir()
    (Path("folder") / there).write_bytes(FIRST)
    files = RawFiles(Endpoints(), contact="", path="folder", files={}, sha256={})

    assert files.has("boxes", f"https://elsewhere.example/v5/{public}")
    assert files.get("boxes", f"https://elsewhere.example/v5/{public}") == files.local("boxes", public) == Path("folder") / there


def test_a_file_that_is_left_out_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert not RawFiles(Endpoints(), contact="", path="folder", files={}, sha256={}).has("labels_train", "https://h.example/labels.csv")
    assert capsys.readouterr().out == "no labels_train (folder/labels.csv): what it tells stays unknown\n"


def test_a_cached_file_that_a_reader_refuses_is_named_with_where_it_came_from_and_how_to_be_rid_of_it(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.test_sources import build

    server.answer = lambda *_: (200, {"Content-Length": ""}, b'{"images": [], "annotations": [], "categories": []}', 30)
    address = f"{server.address}/coco.json"
    place = Path("cache/raw") / cached_name(address)

    for _ in range(2):
        with pytest.raises(InputError, match=rf"coco\.json: not a COCO file: .*truncated.* cut off on its way from {address}: `rm '.*/{place}'`, and run again"):
            build("coco", files={"instances_train": address}, splits=("train",))

    assert capsys.readouterr().out == f"{address}: the server states no length: nobody can tell whether all of it has come\n"
    place.unlink()
    with pytest.raises(InputError, match="truncated"):
        build("coco", files={"instances_train": address}, splits=("train",))
    assert len(server.asked) == 2


def test_a_file_of_ones_own_that_is_refused_is_not_to_be_deleted() -> None:
    from tests.test_sources import build

    Path("c.json").write_text('{"images": [')

    with pytest.raises(InputError, match=r"truncated\. Use the publisher's file$"):
        build("coco", files={"instances_train": "c.json"}, splits=("train",))
