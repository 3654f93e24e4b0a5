"""`sweeper dashboard`: Optuna's dashboard in a browser, read only."""

from __future__ import annotations

from contextlib import suppress

import click

from sweeper.cli.database_option import database_option
from sweeper.cli.store_access import opened
from sweeper.optuna_export.dashboard import dashboard_app, make_dashboard_server

EXAMPLES = """\b
Examples:
  sweeper dashboard
  sweeper dashboard --port 8888
"""


@click.command(name="dashboard", epilog=EXAMPLES)
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8080, show_default=True, help="0: any."
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; whoever can reach another one reads every sweep.",
)
@database_option
def command(port: int, host: str, database: str | None) -> None:
    """Serve Optuna's dashboard over all sweeps until Ctrl-C; it can change nothing."""
    with opened(database) as store:
        app = dashboard_app(store.url)
        server = make_dashboard_server(app, host, port)
        click.echo(f"http://{host}:{server.server_port}/  (Ctrl-C ends it)")
        with server, suppress(KeyboardInterrupt):
            server.serve_forever()
