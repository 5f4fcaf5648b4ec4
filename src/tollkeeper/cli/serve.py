"""`tollkeeper serve` and `tollkeeper worker`."""

from __future__ import annotations

import asyncio

import click

from tollkeeper.cli.installation import Installation, require_migrated
from tollkeeper.cli.output import say


@click.command("serve")
@click.option("--host", help="Address to listen on, instead of the setting server.host.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port; 0 takes a free one.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes that serve.")
@click.option("--jobs/--no-jobs", default=True, help="Whether to run the background jobs too.")
@click.pass_obj
def serve_command(
    here: Installation, host: str | None, port: int | None, workers: int | None, *, jobs: bool
) -> None:
    """Serve requests, with a database that is there and migrated.

    SIGTERM stops it in order: nothing more is accepted, calls in flight end and are charged, then
    it exits. A worker that dies is replaced.
    """
    from tollkeeper.cli.serving import serve_until_stopped
    from tollkeeper.ops.server import address_of, listening

    here = here.given(SERVER__HOST=host, SERVER__PORT=port, SERVER__WORKERS=workers)
    server = here.settings.server
    with (
        listening(server.host, server.port, server.workers) as listeners,
        here.database_url() as url,
    ):
        address = address_of(listeners[0])
        asyncio.run(require_migrated(url))
        serve_until_stopped(
            here, url, listeners, lambda: say(f"Serving at {address}/api/v1"), with_jobs=jobs
        )


@click.command("worker")
@click.pass_obj
def worker_command(here: Installation) -> None:
    """Run the background jobs alone.

    For servers that were started with --no-jobs. Any number of workers may run: jobs are safe
    in parallel.
    """
    from tollkeeper.app import open_app
    from tollkeeper.ops.server import run, stop_on_signals

    with here.database_url() as url:

        async def work() -> None:
            await require_migrated(url)
            with stop_on_signals() as stop:
                async with open_app(here.settings, url) as app:
                    say(f"Running {', '.join(job.name for job in app.jobs.all)}")
                    await stop.wait()

        run(work)
