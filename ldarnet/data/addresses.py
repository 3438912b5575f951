"""Opening an address: http and https only, every redirect looked at, failures sorted into lasting and passing."""

import http.client
import ssl
import urllib.error
import urllib.request
from email.message import Message
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

from ldarnet import __version__
from ldarnet.data.errors import DataError

TIMEOUT_S = 30.0
MAX_REDIRECTS = 10
MAX_TEXT_BYTES = 64 << 20
_REDIRECTS = {301, 302, 303, 307, 308}
_PASSING = {408, 425, 429, *range(500, 600)}
_MAX_WAIT_S = 120.0


class PassingError(Exception):
    """A failure that another try may not have; `wait_s` is what the server asked for."""

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class RangeRefused(Exception):
    """The server has no bytes from there on (status 416)."""


def check_scheme(url: str) -> str:
    """The address, if it is an http or https one with a host. Raises DataError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DataError(f"{url}: expected an http:// or https:// address")
    return url


def mirrored(url: str, mirror: str | None) -> str:
    """The address on a mirror, which has every publisher's host as a folder: MIRROR/host/path."""
    if not mirror:
        return url
    return f"{check_scheme(mirror).rstrip('/')}/{url.partition('://')[2]}"


def open_address(url: str, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    """The answer of an address, after its redirects.

    Raises DataError for what another try cannot mend, PassingError for the rest, RangeRefused for status 416.
    """
    here = check_scheme(url)
    seen = {here}
    while True:
        request = urllib.request.Request(
            here, headers={"User-Agent": f"ldarnet/{__version__}", "Accept-Encoding": "identity", **(headers or {})}
        )
        try:
            return _opener().open(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            with error:
                if error.code not in _REDIRECTS:
                    raise _failure(url, here, error) from None
                here = _next_address(url, here, error.headers)
            if here in seen or len(seen) > MAX_REDIRECTS:
                raise DataError(
                    f"{url}: redirects in a circle, or more than {MAX_REDIRECTS} times, last to {here}; "
                    "expected a file. Try again later, or another mirror"
                ) from None
            seen.add(here)
        except (OSError, http.client.HTTPException) as error:
            raise passing_or_lasting(url, error) from None


def read_text(url: str) -> str:
    """A short text, such as a list of checksums, in UTF-8. Errors as for `open_address`."""
    with open_address(url) as response:
        try:
            data = response.read(MAX_TEXT_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            raise passing_or_lasting(url, error) from None
    if len(data) > MAX_TEXT_BYTES:
        raise DataError(f"{url}: expected a list, got more than {MAX_TEXT_BYTES >> 20} MiB")
    return data.decode("utf-8", errors="replace")


def passing_or_lasting(url: str, error: Exception) -> Exception:
    """What to raise where the connection failed, while it was opened or read."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return DataError(
            f"{url}: the certificate of the server cannot be verified ({reason.verify_message}); "
            "if a proxy stands between, name its certificate in SSL_CERT_FILE"
        )
    if isinstance(error, http.client.IncompleteRead):
        return PassingError("the connection ended before the whole file had come")
    if isinstance(reason, TimeoutError):
        return PassingError("no answer in time")
    return PassingError(f"no connection ({str(reason) or type(reason).__name__})")


def _opener() -> urllib.request.OpenerDirector:
    """Handlers for http and https and nothing else: no files, no ftp, no redirects behind our back."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _next_address(url: str, here: str, headers: Message) -> str:
    location = headers.get("Location")
    if not location:
        raise DataError(f"{url}: the server redirects without saying where to")
    target = urljoin(here, location).partition("#")[0]
    if urlsplit(target).scheme not in ("http", "https"):
        raise DataError(f"{url}: redirects to {target}; expected an http:// or https:// address, so it is not followed")
    if here.startswith("https:") and not target.startswith("https:"):
        raise DataError(f"{url}: redirects from https to {target}, which anybody on the way could change")
    return target


def _failure(url: str, here: str, error: urllib.error.HTTPError) -> Exception:
    status = f"{error.code} {error.reason or HTTPStatus(error.code).phrase}"
    by = "" if here == url else f" (redirected to {here})"
    if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return RangeRefused()
    if error.code in _PASSING:
        return PassingError(f"the server answers {status}{by}", _asked_wait(error.headers))
    hints = {401: "the publisher asks for a login", 403: "the publisher refuses access"}
    hint = hints.get(error.code, "it may have moved: look for it at the publisher's, or try a mirror (--mirror)")
    return DataError(f"{url}: the server answers {status}{by}; expected a file; {hint}")


def _asked_wait(headers: Message) -> float | None:
    text = headers.get("Retry-After", "")
    return min(float(text), _MAX_WAIT_S) if text.isascii() and text.isdigit() else None
