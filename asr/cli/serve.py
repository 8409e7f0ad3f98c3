"""`asr serve`: the recognizer for browsers and programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from asr.cli.options import DecodeArguments, Device, Model, Precision, Threads, search_options
from asr.errors import UsageError


@search_options
def serve(
    model: Model = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; 0.0.0.0 serves other machines too.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", help="Port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = 8000,
    token: Annotated[
        str | None, typer.Option("--token", help="What clients must send as their API key.", envvar="ASR_TOKEN")
    ] = None,
    max_upload: Annotated[
        float, typer.Option("--max-upload", help="Largest recording in MB.", min=0.001, max=1e6)
    ] = 200,
    queue: Annotated[int, typer.Option("--queue", help="Requests that may wait; others are refused.", min=1)] = 32,
    live: Annotated[int, typer.Option("--live", help="People who may speak at one time.", min=1)] = 4,
    cors: Annotated[
        list[str] | None,
        typer.Option("--cors", metavar="ORIGIN", help="A site whose pages may use the server; repeatable."),
    ] = None,
    search: DecodeArguments = DecodeArguments(),
    device: Device = "auto",
    threads: Threads = None,
    precision: Annotated[
        Precision, typer.Option("--precision", help="Arithmetic of the network; auto takes what is fast here.")
    ] = "auto",
) -> None:
    """Serve transcripts over HTTP: OpenAI's audio API, a live WebSocket, and a page.

    Only this machine is served unless --host says otherwise. Ctrl-C or SIGTERM ends it, after what it began.
    """
    decode = search.decode_options()
    try:
        from asr.serve.security import MEGABYTE, ServeOptions

        options = ServeOptions(host, port, token, round(max_upload * MEGABYTE), queue, live, tuple(cors or ()))
        from asr.serve.app import Service
        from asr.serve.engine import Engine, warm_up
        from asr.serve.server import bind, make_server
    except ModuleNotFoundError as error:
        raise UsageError(
            f"serving needs the package {error.name}", "In the project's folder: .venv/bin/pip install -e '.[serve]'"
        ) from error
    if not options.is_local and token is None:
        print("asr: anybody who reaches this address can use the server; --token asks who it is", file=sys.stderr)

    sock = bind(host, port)  # an address that cannot be had is told before anything is loaded
    from asr.transcription.recognizer import load_model

    recognizer = load_model(model, device=device, threads=threads, search=decode, precision=precision)
    warm_up(recognizer)
    name = Path(model or "default").absolute().name
    service = Service(Engine(recognizer, decode, threads), name, options)

    server = make_server(service, sock)
    print(f"asr: serving at {server.address} (Ctrl-C ends)", file=sys.stderr, flush=True)
    server.run()
