"""/healthz: the process is alive; /readyz: messages of people reach it."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from bot.errors import SettingsInvalid

Readiness = Callable[[], Mapping[str, bool]]
"""For each platform, whether messages reach us; ready is who hears from all of them."""


@asynccontextmanager
async def serve_health(host: str, port: int, readiness: Readiness) -> AsyncIterator[int]:
    """Answers on that address while the block runs; gives the port. Raises SettingsInvalid when the address is taken."""

    async def alive(_: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def ready(_: web.Request) -> web.Response:
        platforms = dict(readiness())
        is_ready = bool(platforms) and all(platforms.values())
        return web.json_response({"ready": is_ready, "platforms": platforms}, status=200 if is_ready else 503)

    app = web.Application()
    app.add_routes([web.get("/healthz", alive), web.get("/readyz", ready)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as err:
            problem = f"Health cannot be served on {host}:{port} (TIMBRE_CHAT__HEALTH_PORT): {err.strerror}."
            raise SettingsInvalid(problem) from err
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
