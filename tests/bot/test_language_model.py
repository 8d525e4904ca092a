"""The two LanguageModels: in this process, and a server that speaks OpenAI's chat completions."""

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bot.conversation import ChatMessage
from bot.errors import ModelUnavailable
from bot.language_model import LocalLanguageModel, ServerLanguageModel, identity_of, open_language_model
from bot.ports import LanguageModel
from bot.settings import ModelSettings, Settings
from tests.conftest import silent

BUILT_IN = Path(sys.prefix) / "share" / "timbre" / "models" / "SmolLM2-135M-Instruct"
ASKING: list[ChatMessage] = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": "Name the capital of France."},
]
PIECES = ["It ", "is ", "Päris 🐬", "."]


class Server(ThreadingHTTPServer):
    """Answers chat completions as `mode` says and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.mode = "normal"
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        self.server.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.keys.append(self.headers["Authorization"])
        if self.server.mode == "error":
            self._refuse()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.server.mode == "garbage":
            self._chunk("data: {no json\n\n")
        for piece in PIECES[:2] if self.server.mode == "cut" else PIECES:
            delta = {"index": 0, "delta": {"content": piece}, "finish_reason": None}
            self._event({"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [delta]})
        if self.server.mode == "cut":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._event({"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": []})
        self._chunk("data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _refuse(self) -> None:
        body = b'{"error": {"message": "out of memory"}}'
        self.send_response(500)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _event(self, event: dict[str, Any]) -> None:
        self._chunk(f"data: {json.dumps(event)}\n\n")

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture
def connect(server: Server) -> Callable[[str], ServerLanguageModel]:
    """connect(mode) is a model of the server, which then behaves in this way."""

    def make(mode: str) -> ServerLanguageModel:
        server.mode = mode
        return ServerLanguageModel(server.url, "m", "s3cret", timeout_s=10)

    return make


async def said_by(model: LanguageModel, tokens: int = 8) -> list[str]:
    try:
        return [piece async for piece in model.stream(ASKING, tokens)]
    finally:
        await model.close()


@pytest.mark.slow
async def test_a_server_s_pieces_are_passed_on(server: Server, connect: Callable[[str], ServerLanguageModel]) -> None:
    assert await said_by(connect("normal")) == PIECES

    (request,) = server.requests
    assert (request["messages"], request["max_tokens"], request["temperature"]) == (ASKING, 8, 0)
    assert (request["model"], request["stream"], server.keys) == ("m", True, ["Bearer s3cret"])


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["error", "cut", "garbage"])
async def test_a_server_that_fails_makes_the_model_unavailable(
    server: Server, connect: Callable[[str], ServerLanguageModel], mode: str
) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        await said_by(connect(mode))

    assert server.url in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.slow
async def test_a_server_that_is_away_makes_the_model_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"

        with pytest.raises(ModelUnavailable, match=url):
            await said_by(ServerLanguageModel(url, "m", "", timeout_s=5))


@pytest.mark.slow
async def test_a_server_model_estimates_tokens_on_the_safe_side(connect: Callable[[str], ServerLanguageModel]) -> None:
    model = connect("normal")

    count = await model.count_tokens([{"role": "user", "content": "word " * 300}])
    await model.close()

    assert count >= 400


@pytest.mark.parametrize(
    ("model", "release", "name"),
    [
        ({}, "base:SmolLM2-135M-Instruct", "SmolLM2-135M-Instruct"),
        ({"id": "org/model"}, "model:org/model", "org/model"),
        ({"id": "m", "url": "http://x/v1"}, "server:m", "m at http://x/v1"),
    ],
)
def test_answers_name_the_model_that_is_set(settings: Settings, model: dict[str, str], release: str, name: str) -> None:
    identity = identity_of(settings.model_copy(update={"model": ModelSettings(**model)}))

    assert (identity.release, identity.model) == (release, name)


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.skipif(not BUILT_IN.exists(), reason="run `timbre setup` first")
async def test_the_built_in_model_streams_and_counts(settings: Settings) -> None:
    model = open_language_model(settings, silent)

    count = await model.count_tokens(ASKING)
    pieces = await said_by(model)

    assert isinstance(model, LocalLanguageModel)
    assert 10 < count < 60
    assert len(pieces) > 2 and "Paris" in "".join(pieces)


@pytest.mark.slow
async def test_a_model_folder_that_is_missing_makes_the_model_unavailable(settings: Settings, tmp_path: Path) -> None:
    missing = settings.model_copy(update={"model": ModelSettings(id=str(tmp_path / "none"))})

    with pytest.raises(ModelUnavailable, match="Cannot load the language model"):
        await said_by(LocalLanguageModel(missing, silent))
    with pytest.raises(ModelUnavailable, match="Cannot load the language model"):
        await LocalLanguageModel(missing, silent).count_tokens(ASKING)
