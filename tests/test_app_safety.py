"""The explorer opens the files of its command line and no others, whatever an address or a request asks for."""

import http.client
import json
import socket
import sys
from pathlib import Path

import pytest

pytest.importorskip("streamlit")

from streamlit.testing.v1 import AppTest

from ldarnet_app.inputs import Inputs, TrackFile
from ldarnet_app.server import LOOPBACK, MAX_UPLOAD_MB, running_server, server_command
from tests import explorer_files, synthetic_results
from tests.command_line import write_fasta

SECRET = "TGCATGCCATTAGGCCAT"
KEYS = {
    "locus": ("locus", "tracks", "ranges", "flip", "overlay"),
    "aggregate": ("class", "signal", "rungs", "chrom", "strand"),
    "sequence": ("locus", "seq", "model", "strand", "edits"),
    "about": ("track",),
}
# every value under every key of the locus page, under half of those of the others
STEP = {"locus": 1, "aggregate": 2, "sequence": 2, "about": 100}
OPENED: list[str] = []
_watching = False


def _watch(event, arguments):
    if _watching and event == "open" and isinstance(arguments[0], str | bytes | Path):
        OPENED.append(str(arguments[0]))


sys.addaudithook(_watch)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Inputs in one folder; beside it, one of files that were never named."""
    root = tmp_path_factory.mktemp("safety")
    inside, outside = root / "inputs", root / "outside"
    for each in (inside, outside):
        each.mkdir()
    explorer_files.write_track(inside / "probs.bw")
    explorer_files.write_genome(inside)
    explorer_files.write_genes(inside / "genes.gtf")
    synthetic_results.write_results(inside / "results")
    write_fasta(outside / "secret.fa", secret=SECRET)
    (outside / "secret.bed").write_text("chrA\t1\t500\n")
    (outside / "secret.safetensors").write_text(SECRET)
    explorer_files.write_track(outside / "secret.bw", seed=5)
    synthetic_results.write_results(outside / "secret_results")
    return root


@pytest.fixture(scope="module")
def inputs(folder):
    inside = folder / "inputs"
    return Inputs(
        (TrackFile("probs", inside / "probs.bw"),),
        inside / "genome.fa",
        inside / "genes.gtf",
        inside / "results",
    )


def crafted(folder):
    """Values for every part of an address: paths, absolute and climbing, and what breaks parsers."""
    outside = folder / "outside"
    secrets = [outside / name for name in ("secret.fa", "secret.bed", "secret.bw", "secret.safetensors")]
    paths = [*map(str, secrets), str(outside / "secret_results"), "/etc/passwd", "../outside/secret.fa"]
    climbing = ["../../../../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "file:///etc/passwd", "%00/etc/passwd"]
    broken = [
        "",
        "\0",
        "chrA:1-2\0",
        "chrA:" + "9" * 5000,
        "x" * 100_000,
        "chrA:1-2;cat /etc/passwd",
        "🧬",
        "-1",
        "nan",
    ]
    scripts = ["<script>alert(1)</script>", "{{7*7}}", "__import__('os')", "probs:1:0", "probs:nan:inf"]
    return paths + climbing + broken + scripts


def script(page, text):
    from importlib import import_module

    from ldarnet_app.inputs import Inputs

    getattr(import_module(f"ldarnet_app.pages.{page}"), f"{page}_page")(Inputs.from_json(text))


@pytest.mark.parametrize("page", KEYS)
def test_no_address_names_a_file(folder, inputs, page):
    global _watching
    values = crafted(folder)
    OPENED.clear()
    for shift in range(0, len(values), STEP[page]):
        test = AppTest.from_function(script, args=(page, inputs.to_json()), default_timeout=60)
        for place, key in enumerate(KEYS[page]):
            test.query_params[key] = values[(shift + place) % len(values)]
        _watching = True
        try:
            test.run()
        finally:
            _watching = False
        assert not test.exception, (test.query_params, test.exception)
        shown = " ".join(str(element.value) for element in (*test.markdown, *test.caption, *test.code, *test.warning))
        assert SECRET not in shown and "root:" not in shown
    assert [path for path in OPENED if path.startswith((str(folder / "outside"), "/etc/passwd"))] == []
    expected = {"locus": "probs.bw", "aggregate": "tests.tsv", "about": "run.json"}
    assert any(path.endswith(expected.get(page, "")) for path in OPENED)  # the watch works


@pytest.fixture(scope="module")
def server(inputs):
    with running_server(inputs) as (_, url):
        yield url.removeprefix("http://localhost:")


def request(server, path, method="GET", headers=(), body=None):
    """Status and body of a request whose path is sent as it stands."""
    connection = http.client.HTTPConnection(LOOPBACK, int(server), timeout=10)
    connection.putrequest(method, "/", skip_host=True)
    connection._buffer[0] = f"{method} {path} HTTP/1.1".encode("latin-1", "replace")
    for name, value in {"Host": f"localhost:{server}", **dict(headers)}.items():
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    try:
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except (http.client.HTTPException, ConnectionError):
        return 0, ""  # refused without an answer
    finally:
        connection.close()


ROOTS = ["/", "/static/", "/app/static/", "/media/", "/component/", "/_stcore/", "/_stcore/component/", "/aggregate/"]
CLIMBS = ["..", "%2e%2e", "..%2f", "%252e%252e", "..%5c", "....//", "..;", ".%00."]


@pytest.mark.parametrize("root", ROOTS)
def test_no_request_path_leads_to_a_file(folder, server, root):
    targets = [folder / "outside" / "secret.fa", folder / "inputs" / "genome.fa", Path("/etc/passwd")]
    for target in targets:
        tries = [f"{root}{target}", f"{root}/{target}", f"{root}{target}%00.png", f"{root}file://{target}"]
        tries += [f"{root}{(climb + '/') * 12}{str(target)[1:]}" for climb in CLIMBS]
        for path in tries:
            _, body = request(server, path)
            assert SECRET not in body and "root:" not in body and ">chrA" not in body, path


def test_long_and_broken_paths_leave_the_server_running(server):
    for path in ("/" + "a" * 60_000, "/\0", "/%", "/%zz", "/?locus=" + "x" * 60_000, "/static/\udcff"):
        request(server, path.encode("utf-8", "replace").decode("latin-1"))
    assert request(server, "/_stcore/health") == (200, "ok")


def test_other_origins_and_names_are_refused(server):
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    own, other = f"localhost:{server}", f"evil.example:{server}"
    # a page elsewhere, and one that has given its own name this machine's address
    for host, origin, status in ((own, own, 101), (own, other, 403), (other, other, 403)):
        headers = {**upgrade, "Host": host, "Origin": f"http://{origin}"}
        connection = http.client.HTTPConnection(LOOPBACK, int(server), timeout=10)
        connection.putrequest("GET", "/_stcore/stream", skip_host=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        assert connection.getresponse().status == status, (host, origin)
        connection.close()


def test_uploads_need_the_page_s_token_and_are_small(server, inputs):
    status, _ = request(server, "/_stcore/upload_file/x/y", "PUT", {"Content-Type": "multipart/form-data"}, b"x")
    assert status == 403
    settings = server_command(inputs, 8501, LOOPBACK)
    assert settings[settings.index("--server.maxUploadSize") + 1] == "1" == str(MAX_UPLOAD_MB)
    assert settings[settings.index("--server.enableStaticServing") + 1] == "false"


def test_the_server_listens_on_the_loopback_address_only(server):
    try:
        addresses = {each[4][0] for each in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    except OSError:
        addresses = set()
    others = [address for address in addresses if not address.startswith("127.")]
    if not others:
        pytest.skip("this machine has no other address")
    for address in others:
        with pytest.raises(OSError), socket.create_connection((address, int(server)), timeout=2):
            pass


def test_inputs_of_the_server_are_those_of_the_command(inputs):
    fields = json.loads(server_command(inputs, 8501, LOOPBACK)[-1])
    assert {Path(fields["fasta"]), Path(fields["results"])} == {inputs.fasta, inputs.results}
