"""A file server on the loopback, told per path how to misbehave, that keeps what it was asked."""

import hashlib
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class DataServer:
    """`files`: path -> bytes. `script`: path -> answers to give first, one per request:

    a status, (status, Location), or ("cut", n) for a body that ends after n bytes.
    """

    def __init__(self):
        self.files = {}
        self.script = {}
        self.asked = []
        self.ranges = True
        self.validators = True
        self.gate = None
        """An event that every body waits for after its first half."""

    def ranges_asked(self):
        return [found for _, found in self.asked]


@contextmanager
def serving():
    state = DataServer()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            path = urlsplit(self.path).path
            state.asked.append((path, self.headers.get("Range")))
            answers = state.script.get(path)
            answer = answers.pop(0) if answers else None
            if isinstance(answer, int):
                self.send_error(answer)
            elif answer and answer[0] != "cut":
                self.send_response(answer[0])
                self.send_header("Location", answer[1])
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif path in state.files:
                self.send_file(state.files[path], cut=answer[1] if answer else None)
            else:
                self.send_error(404)

        def send_file(self, body, cut):
            tag = f'"{hashlib.md5(body).hexdigest()}"'
            start, found = 0, self.headers.get("Range")
            if found and state.ranges and self.headers.get("If-Range") == tag:
                start = int(found.removeprefix("bytes=").rstrip("-"))
                if start >= len(body):
                    self.send_error(416)
                    return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            if state.validators:
                self.send_header("ETag", tag)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            body = body[start:] if cut is None else body[start : start + cut]
            half = len(body) // 2
            self.wfile.write(body[:half])
            if state.gate:
                self.wfile.flush()
                state.gate.wait(20)
            with suppress(ConnectionError):  # the other side was killed
                self.wfile.write(body[half:])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        if state.gate:
            state.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()
