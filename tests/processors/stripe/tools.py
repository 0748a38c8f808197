"""Programs by others that judge our requests, fetched into build/ when first needed.

Both are tools of the tests, never of the product:
  * stripe-mock (MIT), Stripe's own, checks requests against its specification;
  * localstripe (GPL-3.0), an independent stand-in that keeps state.
"""

import os
import shutil
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

_BUILD = Path(__file__).parents[3] / "build"
# The newest; its specification is of 2026-08-26.
_STRIPE_MOCK = "github.com/stripe/stripe-mock@v0.203.0"
_LOCALSTRIPE = "localstripe==1.15.10"
_FETCH_SECONDS = 300

# localstripe listens on every interface and writes what it learnt, card numbers too,
# to a file that it unpickles at its next start. Started so, it does neither.
_LOCALSTRIPE_QUIETLY = """
import sys
from aiohttp import web
from localstripe import resources, server
resources.Store.dump_to_disk = lambda self: None
web.run_app(server.app, host="127.0.0.1", port=0, access_log=None)
"""


def fetch_stripe_mock():
    """Returns the program, or skips the test and says why."""
    program = _BUILD / "bin" / "stripe-mock"
    if program.exists():
        return program
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        pytest.skip("no Go toolchain: stripe-mock did not judge our requests")
    environment = os.environ | {"GOBIN": str(program.parent), "GOFLAGS": "-mod=mod"}
    try:
        subprocess.run(
            [go, "install", _STRIPE_MOCK],
            env=environment,
            cwd="/",
            check=True,
            capture_output=True,
            timeout=_FETCH_SECONDS,
        )
    except (subprocess.SubprocessError, OSError):
        pytest.skip("stripe-mock could not be built: it did not judge our requests")
    return program


def fetch_localstripe():
    """Returns the Python of localstripe's own environment, or skips the test."""
    folder = _BUILD / "localstripe-venv"
    python = folder / "bin" / "python"
    installed = folder / ".installed"
    if installed.exists() and installed.read_text() == _LOCALSTRIPE:
        return python
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        for command in ([sys.executable, "-m", "venv", folder], [*pip, _LOCALSTRIPE]):
            subprocess.run(
                command, check=True, capture_output=True, timeout=_FETCH_SECONDS
            )
    except (subprocess.SubprocessError, OSError):
        pytest.skip(
            "localstripe could not be installed: it answered no request of ours"
        )
    installed.write_text(_LOCALSTRIPE)
    return python


@contextmanager
def running_stripe_mock():
    """Runs stripe-mock on a free port of loopback and yields its address."""
    command = [fetch_stripe_mock(), "-http-addr", "127.0.0.1:"]
    with _running(command, "HTTP at address: ") as address:
        yield f"http://{address}"


@contextmanager
def running_localstripe():
    """Runs localstripe on a free port of loopback and yields its address."""
    command = [fetch_localstripe(), "-c", _LOCALSTRIPE_QUIETLY]
    with _running(command, "Running on http://") as address:
        yield f"http://{address}"


@contextmanager
def _running(command, announcement):
    with subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:
        try:
            line = ""
            while announcement not in line:
                line = process.stdout.readline()
                assert line, f"{command[0]} ended before it listened"
            # Nobody reads on: what it writes from here must fit the pipe.
            yield line.partition(announcement)[2].split()[0]
        finally:
            process.terminate()


class Passage:
    """A proxy that notes every exchange and may change both directions."""

    def __init__(
        self,
        target,
        *,
        ask=lambda _path, form: form,
        tell=lambda body: body,
        own=None,
    ):
        """``own`` are answers, by path, that the target does not have."""
        self._target = target
        self._own = own or {}
        self._ask = ask
        self._tell = tell
        self.exchanges = []

    @asynccontextmanager
    async def open(self):
        """Serves on a free port of loopback and yields the address."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            async with aiohttp.ClientSession() as self._session:
                yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
        finally:
            await runner.cleanup()

    async def _pass_on(self, request):
        if request.path in self._own:
            return web.json_response(self._own[request.path])
        form = self._ask(request.path, await request.post())
        headers = {
            name: value
            for name, value in request.headers.items()
            if name not in ("Host", "Content-Length")
        }
        async with self._session.request(
            request.method,
            self._target + request.path_qs,
            headers=headers,
            data=form or None,
        ) as response:
            body = await response.json()
        self.exchanges.append((request.method, request.path, response.status, body))
        return web.json_response(self._tell(body), status=response.status)
