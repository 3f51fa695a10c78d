"""A hub on this machine: the few routes that its client asks to make a place, commit and fetch.

In: requests of huggingface_hub. Out: what the hub would answer; `Hub.places` holds what was pushed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import pytest

PLACE = r"(?P<name>[^/]+/[^/]+)"
Files = dict[str, bytes]


@dataclass
class Place:
    """One repository: each commit's files, and which commit a branch is."""

    private: bool = False
    gated: bool = False
    commits: dict[str, Files] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, files: Files, branch: str = "main", message: str = "") -> str:
        sha = hashlib.sha1(repr((len(self.commits), sorted(files))).encode()).hexdigest()
        self.commits[sha] = files
        self.branches[branch] = sha
        self.messages.append(message)
        return sha


@dataclass
class Hub:
    """What the hub holds; a request with another token than `token` may not write."""

    url: str = ""
    token: str = "hf_good"
    places: dict[str, Place] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


class RefusedError(Exception):
    """An answer that is an error: status, the hub's code of it, and perhaps JSON."""


def answer(hub: Hub, method: str, path: str, body: bytes, token: str | None) -> Any:
    """Give the JSON of an answer, or the bytes and the commit of a file."""
    if method == "POST" and token != hub.token:
        raise RefusedError(401 if token is None else 403, "")
    if path == "/api/validate-yaml":
        return validate(json.loads(body)["content"])
    if path == "/api/repos/create":
        return create(hub, json.loads(body))
    found = re.fullmatch(
        rf"/(?P<api>api/models/)?{PLACE}(/(?P<verb>[\w-]+)(/(?P<rest>.*))?)?", path
    )
    assert found is not None, path
    place = hub.places.get(found["name"])
    if place is None or (place.private and token != hub.token):
        raise RefusedError(401, "RepoNotFound")
    verb, rest = found["verb"], unquote(found["rest"] or "")
    if verb == "resolve":
        revision, _, file = rest.partition("/")
        if place.gated:
            raise RefusedError(403, "GatedRepo")
        files, sha = files_of(place, revision)
        if file not in files:
            raise RefusedError(404, "EntryNotFound")
        return files[file], sha
    if verb == "branch":
        place.branches.setdefault(rest, place.branches["main"])
        return {}
    if verb == "preupload":
        paths = [each["path"] for each in json.loads(body)["files"]]
        return {
            "files": [
                {"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths
            ]
        }
    if verb == "commit":
        return commit(hub, found["name"], place, rest, body)
    if verb == "tree":
        files, _ = files_of(place, rest)
        return [
            {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
            for path, data in files.items()
        ]
    files, sha = files_of(place, rest or "main")
    return {
        "id": found["name"],
        "sha": sha,
        "private": place.private,
        "siblings": [{"rfilename": path} for path in files],
    }


def validate(card: str) -> dict[str, list[str]]:
    if "license: bad" in card:
        raise RefusedError(400, "", {"errors": [{"message": "no such license"}], "warnings": []})
    return {"errors": [], "warnings": []}


def create(hub: Hub, asked: dict[str, Any]) -> dict[str, str]:
    name = f"{asked['organization'] or 'ann'}/{asked['name']}"
    if name in hub.places:
        raise RefusedError(409, "", {"url": f"{hub.url}/{name}"})
    private = asked.get("visibility") == "private" or bool(asked.get("private"))
    hub.places[name] = Place(private=private)
    hub.places[name].commit({".gitattributes": b""})
    return {"url": f"{hub.url}/{name}"}


def files_of(place: Place, revision: str) -> tuple[Files, str]:
    sha = place.branches.get(revision, revision)
    if sha not in place.commits:
        raise RefusedError(404, "RevisionNotFound")
    return place.commits[sha], sha


def commit(hub: Hub, name: str, place: Place, branch: str, body: bytes) -> dict[str, str]:
    files = dict(files_of(place, branch)[0])
    message = ""
    for line in body.splitlines():
        told = json.loads(line)
        value = told["value"]
        if told["key"] == "header":
            message = value["summary"]
        elif told["key"] == "file":
            files[value["path"]] = base64.b64decode(value["content"])
        else:
            assert told["key"] == "deletedFile"
            del files[value["path"]]
    sha = place.commit(files, branch, message)
    return {"commitUrl": f"{hub.url}/{name}/commit/{sha}", "commitOid": sha}


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            hub.asked.append(f"{self.command} {path}")
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
            status, data, headers = 200, b"", {}
            try:
                given = answer(hub, self.command, path, body, token)
                if isinstance(given, tuple):
                    data, sha = given
                    etag = hashlib.sha1(data).hexdigest()
                    headers = {"ETag": f'"{etag}"', "X-Repo-Commit": sha}
                else:
                    data = json.dumps(given).encode()
            except RefusedError as refused:
                status, code, *told = refused.args
                data = json.dumps(told[0] if told else {}).encode()
                headers = {"X-Error-Code": code} if code else {}
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_HEAD = do_POST = answer  # noqa: N815

    return Handler


@contextmanager
def serve(cache: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Run a hub that the client asks in the place of its own, with a cache of its own."""
    from huggingface_hub import constants

    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(hub))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setenv("HF_TOKEN", hub.token)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        hub.url + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", cache)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
