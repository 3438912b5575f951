"""Hub ids through the real client, against a hub of our own on the loopback interface."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ldarnet import hub
from ldarnet.checkpoint import resolve
from ldarnet.provenance import CheckpointError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = b"weights of one model"
REPOS = {
    "lab/one": {"README.md": b"card", "model.safetensors": WEIGHTS},
    "lab/many": {"a.safetensors": b"a", "b.safetensors": b"b", "old.pt": b"old", "sub/c.pt": b"c"},
    "lab/none": {"README.md": b"card", "config.json": b"{}"},
    "lab/escaping": {"../../../escaped.safetensors": b"outside"},
    "lab/absolute": {"/tmp/escaped.safetensors": b"outside"},
}
REFUSED = {
    "lab/gated": (403, "GatedRepo"),
    "lab/forbidden": (403, ""),
    "lab/private": (401, "RepoNotFound"),
    "lab/broken": (500, ""),
}


class Hub(BaseHTTPRequestHandler):
    """What the client asks of the hub: the list of files, their metadata (HEAD) and their bytes (GET)."""

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, *, with_body):
        parts = self.path.split("?")[0].strip("/").split("/")
        is_listing = parts[:2] == ["api", "models"]
        repo = "/".join(parts[2:4] if is_listing else parts[:2])
        if repo in REFUSED:
            status, code = REFUSED[repo]
            return self.send(status, b"{}", {"X-Error-Code": code} if code else {}, with_body)
        if repo not in REPOS:
            return self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, with_body)
        if is_listing:
            info = {"id": repo, "sha": COMMIT, "siblings": [{"rfilename": name} for name in REPOS[repo]]}
            return self.send(200, json.dumps(info).encode(), {"Content-Type": "application/json"}, with_body)
        data = REPOS[repo].get("/".join(parts[4:]))
        if data is None:
            return self.send(404, b"{}", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, with_body)
        return self.send(200, data, {"X-Repo-Commit": COMMIT, "ETag": f'"{hash(data):x}"'}, with_body)

    def send(self, status, body, headers, with_body):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *args):
        pass


CHILD = """
import json, sys
from ldarnet.hub import download
from ldarnet.provenance import CheckpointError
answers = {}
for hub_id in sys.argv[1:]:
    try:
        path = download(hub_id)
        answers[hub_id] = {"name": path.name, "path": str(path), "data": path.read_text()}
    except CheckpointError as error:
        answers[hub_id] = {"error": str(error)}
print(json.dumps(answers))
"""


def ask(port, cache, *hub_ids, **extra):
    """What `download` says to each id, in a process of its own: the client reads its endpoint when imported."""
    environment = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}
    environment |= {
        "HF_ENDPOINT": f"http://127.0.0.1:{port}",
        "HF_HOME": str(cache),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1",
    }
    for name in ("HF_HUB_OFFLINE", "HF_TOKEN", "HF_HUB_CACHE"):
        environment.pop(name, None)
    environment |= extra
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *hub_ids], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@contextmanager
def running_hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def port():
    with running_hub() as port:
        yield port


def test_the_one_model_file_and_a_named_file(port, tmp_path):
    answers = ask(port, tmp_path, "lab/one", "lab/one:model.safetensors", "lab/many:b.safetensors", "lab/many:sub/c.pt")
    assert [a["data"] for a in answers.values()] == [WEIGHTS.decode(), WEIGHTS.decode(), "b", "c"]
    assert [a["name"] for a in answers.values()][2:] == ["b.safetensors", "c.pt"]
    assert all(Path(a["path"]).is_relative_to(tmp_path) for a in answers.values())


MESSAGES = {
    "lab/many": r"holds 2 model files \(a.safetensors, b.safetensors\); name one: lab/many:a.safetensors",
    "lab/many:d.pt": r"'lab/many:d.pt': the repository has no file 'd.pt'",
    "lab/none": r"holds no model file \(.safetensors, .pt, .pth\); it has README.md, config.json",
    "lab/ghost": r"there is no such repository, or it is private .* on this machine, it does not exist",
    "lab/private": r"there is no such repository, or it is private \(then `hf auth login` first\)",
    "lab/gated": r"its owners ask for consent: accept their terms on its page, then `hf auth login`",
    "lab/forbidden": r"the hub refuses access \(status 403\); log in with `hf auth login`",
    "lab/broken": r"cannot be fetched and no copy is cached \(.*500",
    "lab/..dots": r"hub id 'lab/..dots': .*alphanumeric",
    "lab/escaping": r"'../../../escaped.safetensors' is no file name inside a repository",
    "lab/absolute": r"'/tmp/escaped.safetensors' is no file name inside a repository",
    "lab/one:../../../x.pt": r"'../../../x.pt' is no file name inside a repository",
    "lab/one:/etc/hostname": r"'/etc/hostname' is no file name inside a repository",
}


def test_what_cannot_be_had_is_said_in_one_sentence(port, tmp_path):
    answers = ask(port, tmp_path, *MESSAGES)
    for hub_id, pattern in MESSAGES.items():
        assert "error" in answers[hub_id], hub_id
        assert re.search(pattern, answers[hub_id]["error"]), answers[hub_id]["error"]
        assert "\n" not in answers[hub_id]["error"]
        assert hub_id.partition(":")[0] in answers[hub_id]["error"]
    assert not list(tmp_path.rglob("*escaped*"))


def test_without_the_hub_the_cached_copy_serves(tmp_path):
    with running_hub() as port:
        first = ask(port, tmp_path, "lab/one", "lab/many:a.safetensors")
    again = ask(port, tmp_path, "lab/one", "lab/one:model.safetensors", "lab/many:a.safetensors")
    assert again["lab/one"] == again["lab/one:model.safetensors"] == first["lab/one"]
    assert again["lab/many:a.safetensors"] == first["lab/many:a.safetensors"]
    offline = ask(port, tmp_path, "lab/one", "lab/many:b.safetensors", HF_HUB_OFFLINE="1")
    assert offline["lab/one"] == first["lab/one"]
    assert "'lab/many:b.safetensors': it cannot be fetched and no copy" in offline["lab/many:b.safetensors"]["error"]


def test_without_the_hub_and_without_a_copy(tmp_path):
    with socket.socket() as taken:  # bound but not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        answers = ask(taken.getsockname()[1], tmp_path, "lab/one")
    assert re.search(
        r"'lab/one': it cannot be fetched and no copy is cached \(.*refused.*\)\. "
        "If you meant a file on this machine, it does not exist",
        answers["lab/one"]["error"],
    )


@pytest.mark.parametrize(
    "text",
    [
        "weights/model.safetensors",
        "weights/model.pt",
        "./x",
        "../x",
        "./lab/one",
        "/abs/x",
        "~/x",
        "x.pt",
        "x.safetensors",
    ],
)
def test_a_missing_file_is_not_looked_for_on_the_hub(text, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hub, "download", lambda hub_id: pytest.fail(f"{hub_id} was sent to the hub"))
    with pytest.raises(CheckpointError, match=f"^no such file: {re.escape(text)}$"):
        resolve(text)


@pytest.mark.parametrize("text", ["", "word", "a/b/c", "lab/one:", "lab/one:a:b", "lab//one", "lab/one?x", "x" * 5000])
def test_what_is_neither_file_nor_hub_id(text, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hub, "download", lambda hub_id: pytest.fail(f"{hub_id} was sent to the hub"))
    with pytest.raises(CheckpointError) as caught:
        resolve(text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("text", ["lab/one", "lab/model-1.5", "lab/one:weights.pt", "lab/one:sub/w.safetensors"])
def test_hub_ids_go_to_the_hub(text, monkeypatch, tmp_path):
    monkeypatch.setattr(hub, "download", lambda hub_id: tmp_path / hub_id.replace("/", "-"))
    assert resolve(text) == (tmp_path / text.replace("/", "-"), text)
