"""Optuna's dashboard over the projection, on connections that can change nothing."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from sweeper.core.errors import SweeperError
from sweeper.optuna_export.read_only_storage import connect_reader_artifacts, connect_reader_storage

Application = Callable[..., Iterable[bytes]]

READING = {"GET", "HEAD", "OPTIONS"}
REASON = "read only: sweeps are changed by `sweeper launch` and `sweeper delete`"
REFUSAL = json.dumps({"reason": REASON}).encode() + b"\n"  # the page shows the reason


class QuietHandler(WSGIRequestHandler):
    """Answers requests without a line for each on standard error."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class ThreadedServer(ThreadingMixIn, WSGIServer):
    """A thread a request; a browser that goes away is no news."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report what went wrong, except that the other end was closed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def dashboard_app(url: str) -> Application:
    """Return the dashboard of a database as a WSGI application that only reads.

    Raises DatabaseError where the reader's role is missing.
    """
    from optuna_dashboard import wsgi  # loads optuna_dashboard

    storage = connect_reader_storage(url, "sweeper dashboard")
    return read_only(wsgi(storage, connect_reader_artifacts(url, "sweeper dashboard")))


def read_only(app: Application) -> Application:
    """Return the application with every method that could change something refused."""

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in READING:
            # The dashboard fails on requests that do not name the encodings they take.
            environ.setdefault("HTTP_ACCEPT_ENCODING", "identity")
            return app(environ, start_response)
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(REFUSAL)))]
        start_response("403 Forbidden", headers)
        return [REFUSAL]

    return guarded


def make_dashboard_server(app: Application, host: str, port: int) -> WSGIServer:
    """Return a server that listens already; SweeperError where the port cannot be had."""
    try:
        return make_server(host, port, app, ThreadedServer, QuietHandler)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = "another program listens there" if taken else error.strerror
        raise SweeperError(
            f"{host}:{port} cannot be listened on: {reason}; choose another one with --port"
        ) from error
