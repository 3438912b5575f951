"""The explorer's server: a Streamlit process of its own, for browsers on this machine."""

import ipaddress
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlencode

import ldarnet_app
from ldarnet_app.inputs import Inputs
from ldarnet_app.view import View

LOOPBACK = "127.0.0.1"
FIRST_PORT, NUM_PORTS_TRIED = 8501, 100
MAX_UPLOAD_MB = 1
START_S, STOP_S = 60.0, 5.0
PACKAGES = ("streamlit", "plotly", "pandas", "pybigtools", "kaleido")


def require_packages() -> None:
    """Raise ValueError with what to install where the explorer's packages are missing."""
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise ValueError(
            f"the explorer needs more packages ({', '.join(missing)}): pip install 'ldarnet[app,analysis]'"
        )


def serve(
    inputs: Inputs,
    view: View | None,
    *,
    say: Callable[[str], None],
    port: int | None = None,
    address: str = LOOPBACK,
    opens_browser: bool = True,
) -> None:
    """Run the explorer until it is stopped; Ctrl-C is the normal end. Raises ValueError where the port is taken."""
    with running_server(inputs, port=port, address=address) as (process, url):
        page = f"{url}/?{urlencode(view.to_query(), safe=':,')}" if view is not None else url
        say(f"explorer at {page} (Ctrl-C ends it)")
        if not _is_loopback(address):
            say(f"warning: everybody who reaches {address} can see these files")
        if opens_browser:
            webbrowser.open(page)
        status = process.wait()
    if status > 0:
        raise OSError(f"the explorer's server ended with status {status}: its last messages are above")


@contextmanager
def running_server(
    inputs: Inputs, *, port: int | None = None, address: str = LOOPBACK
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The server process, answering, and its address; ended when the block is left.

    Raises ValueError where the port is taken (`port` None: the first free one), OSError where it does not start.
    """
    port = _free_port(address) if port is None else _checked_port(address, port)
    # Its greeting goes nowhere; errors come on stderr.
    process = subprocess.Popen(
        server_command(inputs, port, address),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **_environment(address)},
    )
    try:
        host = f"[{address}]" if ":" in address else address
        url = f"http://{'localhost' if address == LOOPBACK else host}:{port}"
        _wait_until_it_answers(process, f"http://{host}:{port}/_stcore/health")
        yield process, url
    finally:
        _stop(process)


def server_command(inputs: Inputs, port: int, address: str) -> list[str]:
    """What runs: Streamlit, closed to the network beyond `address`, with the inputs as its script's one argument."""
    settings = {
        "server.address": address,
        "server.port": port,
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "server.runOnSave": "false",
        "server.maxUploadSize": MAX_UPLOAD_MB,
        "server.enableStaticServing": "false",
        "server.enableCORS": "true",
        "server.enableXsrfProtection": "true",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "full" if _is_loopback(address) else "none",
        "client.showErrorLinks": "false",
        "logger.level": "warning",
    }
    script = Path(ldarnet_app.__file__).parent / "script" / "run.py"
    options = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    return [sys.executable, "-m", "ldarnet_app.script", "run", str(script), *options, "--", inputs.to_json()]


def _environment(address: str) -> dict[str, str]:
    # A page elsewhere could give its own name this machine's address, and so pass for the same origin. Not an option
    # of the command line, which older versions of Streamlit would refuse.
    hosts = dict.fromkeys(("localhost", "127.0.0.1", "::1", address))
    return {"STREAMLIT_SERVER_ALLOWED_HOSTS": " ".join(hosts)} if _is_loopback(address) else {}


def _is_loopback(address: str) -> bool:
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _is_free(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except PermissionError:
            raise ValueError(f"port {port} is not for ordinary users: choose one from 1024 to 65535") from None
        except socket.gaierror as error:
            raise ValueError(f"address {address!r}: {error.strerror}; expected one of this machine") from None
        except OSError:
            return False
    return True


def _checked_port(address: str, port: int) -> int:
    if not _is_free(address, port):
        raise ValueError(
            f"port {port} of {address} is taken by another program: name another --port, or none to get a free one"
        )
    return port


def _free_port(address: str) -> int:
    for port in range(FIRST_PORT, FIRST_PORT + NUM_PORTS_TRIED):
        if _is_free(address, port):
            return port
    raise ValueError(
        f"no free port of {address} from {FIRST_PORT} to {FIRST_PORT + NUM_PORTS_TRIED - 1}: name a --port"
    )


def _wait_until_it_answers(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_S
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise OSError(f"the explorer's server ended as it started, with status {process.returncode}: see above")
        try:
            with direct.open(url, timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise OSError(f"the explorer's server did not answer at {url} within {START_S:.0f} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ended in a friendly way first; Ctrl-C in a terminal has reached it already."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
