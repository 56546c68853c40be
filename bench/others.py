"""Other gateways before the same model: those that install from a package index, each limited to one thread.

    python -m bench.others FOLDER

FOLDER is a virtual environment of their own, into which they are installed. One that does not answer within 30 s is
named, with the last that it said. Chat Completions only, which is what they have in common.
"""

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp

from bench.gateway import CLIENTS, Asks, ask, bare, both, gateway, model, rate, serving

START_SECONDS = 30.0
INSTALL_SECONDS = 300


class Other(NamedTuple):
    """A gateway: the package to install, what to start, and what to write into its folder or environment first."""

    package: str
    command: Sequence[str]
    files: Mapping[str, str] = {}
    environment: Mapping[str, str] = {}


OTHERS = (
    Other(
        "smg",
        (
            *("smg", "launch", "--host", "127.0.0.1", "--port", "{port}", "--backend", "openai"),
            *("--worker-urls", "{root}", "--policy", "passthrough", "--history-backend", "none"),
            *("--prometheus-port", "{spare}", "--disable-health-check", "--log-level", "warn"),
        ),
    ),
    Other(
        "ferrogw",
        ("ferrogw", "serve"),
        {"config.yaml": "strategy:\n  mode: fallback\ntargets:\n  - virtual_key: openai\n"},
        {
            "GATEWAY_CONFIG": "config.yaml",
            "OPENAI_BASE_URL": "{root}",
            "PORT": "{port}",
            "MASTER_KEY": "sk-bench",
            "ALLOW_UNAUTHENTICATED_PROXY": "true",
        },
    ),
    Other("tensorzero", ()),
    Other(
        "litellm[proxy]",
        ("litellm", "--config", "config.yaml", "--host", "127.0.0.1", "--port", "{port}"),
        {
            "config.yaml": "model_list:\n  - model_name: gpt-4o\n    litellm_params:\n      model: openai/gpt-4o\n"
            "      api_base: {upstream}\n      api_key: sk-bench\n"
        },
        {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"},
    ),
)


class DoesNotStart(Exception):
    """Why a gateway cannot be measured."""


def ports(count: int) -> list[int]:
    """Return ports that are free."""
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in taken:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in taken]


def installed(venv: Path, other: Other) -> None:
    """Have it in the virtual environment; raises DoesNotStart."""
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        done = subprocess.run([*pip, other.package], capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        raise DoesNotStart(f"it was not installed within {INSTALL_SECONDS} s") from None
    if done.returncode:
        raise DoesNotStart(f"it does not install: {done.stderr.strip().splitlines()[-1]}")
    if not other.command:
        raise DoesNotStart("its package is a library that has no server")


@contextmanager
def running(venv: Path, other: Other, upstream: str) -> Iterator[str]:
    """Run it in a folder of its own; yields its address once it answers. Raises DoesNotStart."""
    port, spare = ports(2)
    values = {"port": port, "spare": spare, "upstream": upstream, "root": upstream.removesuffix("/v1")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in other.files.items():
            (folder / file).write_text(text.format(**values))
        environment = {"PATH": f"{venv / 'bin'}:{os.environ['PATH']}", "HOME": name, "OPENAI_API_KEY": "sk-bench"}
        environment |= {"TOKIO_WORKER_THREADS": "1", "GOMAXPROCS": "1"}
        environment |= {key: value.format(**values) for key, value in other.environment.items()}
        command = [part.format(**values) for part in other.command]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [str(venv / "bin" / command[0]), *command[1:]], cwd=folder, env=environment, stdout=log, stderr=log
            )
            try:
                url = f"http://127.0.0.1:{port}/v1"
                why = asyncio.run(answers(url, process.poll))
                if why:
                    said = (folder / "log").read_text(errors="replace").strip().splitlines()
                    raise DoesNotStart(f"{why}; its log ends: {' | '.join(said[-2:])[-300:]}")
                yield url
            finally:
                process.terminate()
                process.wait(10)


async def answers(url: str, ended: Callable[[], int | None]) -> str | None:
    """Wait until it answers, plain and streamed; return why it does not."""
    why, until = "it does not answer", time.monotonic() + START_SECONDS
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < until:
            if ended() is not None:
                return f"it ended with {ended()}"
            try:
                for stream in (False, True):
                    await ask(session, url, Asks("chat", stream, MODEL))
                return None
            except (aiohttp.ClientError, AssertionError, OSError) as error:
                why = f"it does not answer: {type(error).__name__} {str(error)[:200]}"
            await asyncio.sleep(0.2)
    return why


MODEL = "gpt-4o"


def measured(name: str, url: str, through: str) -> None:
    """Print what share of the bare pass-through's requests it serves."""
    for stream in (False, True):
        rates = both(rate, Asks("chat", stream, MODEL), through, url)
        ratio = statistics.median(theirs / bare for bare, theirs in rates)
        print(
            f"{name:<15} {'streamed' if stream else 'plain':<8} {CLIENTS} clients: {rates[-1][1]:,.0f}/s,"
            f" bare {rates[-1][0]:,.0f}/s, {ratio:.2f} of it",
            flush=True,
        )


def main() -> None:
    venv = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder, serving(model) as upstream, serving(bare, upstream) as through:
        with serving(gateway, upstream, f"sqlite:///{Path(folder) / 'bench.db'}") as judged:
            measured("adjourn", judged, through)
        for other in OTHERS:
            try:
                installed(venv, other)
                with running(venv, other, upstream) as url:
                    measured(other.package, url, through)
            except (DoesNotStart, AssertionError) as why:  # the latter: it refuses what it is asked under load
                print(f"{other.package:<15} not measured: {why}", flush=True)


if __name__ == "__main__":
    main()
