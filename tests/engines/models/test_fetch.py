"""Against a real HTTP server on this machine that misbehaves on request."""

import errno
import hashlib
import http.server
import os
import threading
import time
from pathlib import Path

import pytest

from engines.errors import ModelError
from engines.models.cache_files import TEMPORARY_PREFIX, Progress
from engines.models.fetch import Download, fetch_url

CONTENT = bytes(range(256)) * 4096
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1048576\n"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_GET(self):
        self.server.requests.append((self.path, self.headers.get("Range")))
        getattr(self, "serve_" + self.path.strip("/").replace("-", "_"))()

    def reply(self, body, *, status=200, kind="application/octet-stream", length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def start(self):
        return int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))

    def ranged(self, body, start):
        content_range = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        self.reply(body, status=206 if start else 200, Content_Range=content_range)

    def serve_good(self):
        self.ranged(CONTENT[self.start() :], self.start())

    def serve_rangeless(self):
        self.reply(CONTENT)

    def serve_breaking(self):
        start = self.start()
        body, status = CONTENT[start : start + 300_000], 206 if start else 200
        length, content_range = len(CONTENT) - start, f"bytes {start}-{len(CONTENT) - 1}/*"
        self.reply(body, status=status, length=length, Content_Range=content_range)

    def serve_other_range(self):
        self.reply(CONTENT, status=206, Content_Range=f"bytes 0-{len(CONTENT) - 1}/*")

    def serve_truncated(self):
        self.reply(CONTENT[: len(CONTENT) // 2])

    def serve_wrong(self):
        self.reply(CONTENT[::-1])

    def serve_longer(self):
        self.reply(CONTENT + b"more")

    def serve_page(self):
        self.reply(b"<!DOCTYPE html><title>Sign in</title>", kind="text/html; charset=utf-8")

    def serve_page_in_disguise(self):
        self.reply(b"\n<html><body>quota exceeded</body></html>")

    def serve_pointer(self):
        self.reply(LFS_POINTER, kind="text/plain")

    def serve_finished(self):
        if self.start() == len(CONTENT):
            self.reply(b"", status=416)
        else:
            self.serve_breaking()

    def serve_missing(self):
        self.reply(b"", status=404)

    def serve_moved_to_disk(self):
        self.reply(b"", status=302, Location="file:///etc/hostname")

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.requests = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def fetch(server, tmp_path):
    """Fetches from the named pages of the server, in order; returns the destination."""

    def run(*pages, progress=lambda _: None, num_bytes=1 << 20):
        urls = [f"http://127.0.0.1:{server.server_port}/{page}" for page in pages]
        destination = tmp_path / "cache" / "model.onnx"
        sha256 = hashlib.sha256(CONTENT).hexdigest()
        fetch_url(Download(urls, num_bytes, sha256, destination), progress, timeout_s=10)
        return destination

    return run


def left_over(tmp_path: Path):
    return list((tmp_path / "cache").glob(f"{TEMPORARY_PREFIX}*"))


@pytest.mark.parametrize("page", ["good", "rangeless"])
def test_a_file_arrives_whole_and_nothing_is_left_beside_it(fetch, tmp_path, page):
    assert fetch(page).read_bytes() == CONTENT
    assert left_over(tmp_path) == []


def test_progress_grows_to_the_whole_file_and_then_verifies(fetch):
    seen: list[Progress] = []
    fetch("good", progress=seen.append)
    downloads = [p.done_bytes for p in seen if p.phase == "download"]
    assert downloads == sorted(downloads)
    assert downloads[0] == 0
    assert downloads[-1] == seen[0].total_bytes == len(CONTENT)
    assert seen[-1].phase == "verify"


def test_a_broken_connection_is_resumed_by_the_next_mirror(fetch, server):
    assert fetch("breaking", "good").read_bytes() == CONTENT
    assert server.requests == [("/breaking", None), ("/good", "bytes=300000-")]


def test_a_broken_connection_is_resumed_by_the_next_call(fetch, server, tmp_path):
    with pytest.raises(ModelError, match="300000 of 1048576 bytes"):
        fetch("breaking")
    assert [path.stat().st_size for path in left_over(tmp_path)] == [300_000]
    assert fetch("good").read_bytes() == CONTENT
    assert server.requests[-1] == ("/good", "bytes=300000-")
    assert left_over(tmp_path) == []


def part_of_a_killed_process(folder: Path, num_bytes: int, age_s: int) -> Path:
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    part = folder / f"{TEMPORARY_PREFIX}model.onnx.{sha256[:16]}.part.{num_bytes:032x}"
    folder.mkdir(exist_ok=True)
    part.write_bytes(CONTENT[:num_bytes])
    then_s = time.time() - age_s
    os.utime(part, (then_s, then_s))
    return part


def test_what_a_killed_process_left_is_resumed_where_it_came_farthest(fetch, server, tmp_path):
    part_of_a_killed_process(tmp_path / "cache", 1000, age_s=600)
    part_of_a_killed_process(tmp_path / "cache", 5000, age_s=900)
    assert fetch("good").read_bytes() == CONTENT
    assert server.requests == [("/good", "bytes=5000-")]


def test_what_another_process_is_still_writing_is_left_to_it(fetch, server, tmp_path):
    theirs = part_of_a_killed_process(tmp_path / "cache", 1000, age_s=20)
    assert fetch("good").read_bytes() == CONTENT
    assert server.requests == [("/good", None)]
    assert left_over(tmp_path) == [theirs]


def test_a_server_without_ranges_starts_the_file_again(fetch):
    assert fetch("breaking", "rangeless").read_bytes() == CONTENT


def test_a_server_that_answers_another_range_is_not_appended(fetch):
    with pytest.raises(ModelError, match="another range"):
        fetch("breaking", "other-range")
    assert fetch("good").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("wrong", "a file with SHA-256 [0-9a-f]{64}; it was removed"),
        ("longer", "a file with SHA-256"),
        ("page", "a web page instead of the file"),
        ("page-in-disguise", "a web page instead of the file"),
        ("pointer", "a Git LFS pointer instead of the file"),
        ("truncated", "524288 of 1048576 bytes"),
        ("missing", "HTTP status 404"),
    ],
)
def test_what_is_not_the_file_is_refused_with_the_reason_and_the_next_mirror_asked(
    fetch, tmp_path, page, reason
):
    with pytest.raises(ModelError, match=f"{page} gave {reason}") as caught:
        fetch(page)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache" / "model.onnx").exists()
    assert fetch(page, "good").read_bytes() == CONTENT


def test_a_file_with_the_wrong_hash_is_not_kept_for_resuming(fetch, tmp_path):
    with pytest.raises(ModelError):
        fetch("wrong")
    assert left_over(tmp_path) == []


def test_a_redirect_to_the_disk_is_not_followed(fetch):
    with pytest.raises(ModelError, match="moved-to-disk gave"):
        fetch("moved-to-disk")


def test_a_server_that_is_not_there_is_named(tmp_path):
    download = Download(["http://127.0.0.1:9/x"], 1, "0" * 64, tmp_path / "x")
    with pytest.raises(ModelError, match=r"http://127.0.0.1:9/x gave no connection"):
        fetch_url(download, lambda _: None, timeout_s=5)


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    download = Download(["http://127.0.0.1:9/x"], 1, "0" * 64, tmp_path / "file" / "x")
    with pytest.raises(ModelError, match="must be readable and writable"):
        fetch_url(download, lambda _: None)


def test_a_full_disk_says_so(fetch, monkeypatch):
    def full(self, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ModelError, match="got a full disk"):
        fetch("good")


def test_two_fetches_at_once_both_end_with_the_whole_file(fetch):
    failures = []

    def run():
        try:
            fetch("breaking", "breaking", "good")
        except ModelError as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert fetch("good").read_bytes() == CONTENT


def test_a_file_of_unknown_size_is_held_to_what_the_server_says(fetch):
    seen = []
    assert fetch("good", progress=seen.append, num_bytes=None).read_bytes() == CONTENT
    downloads = [progress for progress in seen if progress.phase == "download"]
    assert {progress.total_bytes for progress in downloads} == {len(CONTENT)}


def test_a_file_of_unknown_size_is_resumed_where_it_broke_off(fetch, server):
    for _ in range(3):
        with pytest.raises(ModelError, match=r"bytes"):
            fetch("breaking", num_bytes=None)
    assert fetch("breaking", num_bytes=None).read_bytes() == CONTENT
    assert [start for _, start in server.requests] == [
        None,
        *(f"bytes={count}-" for count in (300_000, 600_000, 900_000)),
    ]


def test_a_server_that_has_no_more_bytes_means_that_the_file_is_complete(fetch, tmp_path):
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    part = tmp_path / "cache" / f"{TEMPORARY_PREFIX}model.onnx.{sha256[:16]}.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT)
    assert fetch("finished", num_bytes=None).read_bytes() == CONTENT


@pytest.mark.parametrize("page", ["page", "page-in-disguise", "pointer", "wrong", "missing"])
def test_of_a_file_of_unknown_size_nothing_else_is_taken(fetch, tmp_path, page):
    with pytest.raises(ModelError, match=f"{page} gave"):
        fetch(page, num_bytes=None)
    assert not (tmp_path / "cache" / "model.onnx").exists()
    assert fetch("good", num_bytes=None).read_bytes() == CONTENT
