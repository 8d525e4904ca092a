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
from bot.language_model import LocalLanguageModel, ServerLanguageModel, identity_of, open_language_model, open_registry
from bot.ports import LanguageModel
from bot.settings import ModelSettings, Settings
from tests.conftest import silent
from tests.training.loras import CARD
from tests.training.tiny_models import write_lora, write_model

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
        return [piece async for piece in model.stream(ASKING, tokens, (await model.load()).release)]
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


# Releases: the one to which the pointer points answers, whoever moved it


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base and two LoRAs for it."""
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "base")
    for seed in (1, 2):
        write_lora(folder / f"r-{seed}" / "lora", seed)
    return folder


class House:
    """A model on a TIMBRE_HOME of its own, and another process's view of the releases there."""

    def __init__(self, home: Path, tiny: Path) -> None:
        self.settings = Settings(home=home, model=ModelSettings(id=str(tiny / "base")))
        self.registry = open_registry(self.settings, silent)
        self.model = LocalLanguageModel(self.settings, silent)
        self.first, self.second = (self.registry.add(tiny / f"r-{seed}" / "lora", CARD) for seed in (1, 2))

    async def answer(self) -> tuple[str, str]:
        """(release, what it says)."""
        identity = await self.model.load()
        pieces = self.model.stream(ASKING, 5, identity.release)
        return identity.release, "".join([piece async for piece in pieces])


@pytest.fixture
def house(tmp_path: Path, tiny: Path) -> House:
    return House(tmp_path / "home", tiny)


needs_tokenizer = pytest.mark.skipif(not BUILT_IN.exists(), reason="run `timbre setup` first")


@pytest.mark.slow
@pytest.mark.model
@needs_tokenizer
async def test_a_move_by_another_process_takes_effect_on_the_next_answer(house: House) -> None:
    base = await house.answer()
    answers = []

    for release in (house.first, house.second):
        house.registry.promote(release)
        answers.append(await house.answer())
    house.registry.rollback()
    rolled_back = await house.answer()
    house.registry.rollback()
    back_at_base = await house.answer()
    await house.model.close()

    assert [release for release, _ in answers] == [house.first, house.second]
    assert len({said for _, said in [base, *answers]}) == 3
    assert (rolled_back, back_at_base) == (answers[0], base)


@pytest.mark.slow
@pytest.mark.model
@needs_tokenizer
async def test_an_answer_that_was_begun_is_ended_by_its_release(house: House) -> None:
    house.registry.promote(house.first)
    identity = await house.model.load()
    undisturbed = "".join([piece async for piece in house.model.stream(ASKING, 24, identity.release)])
    pieces: list[str] = []

    async for piece in house.model.stream(ASKING, 24, identity.release):
        pieces.append(piece)
        if len(pieces) == 1:
            house.registry.promote(house.second)
            assert (await house.answer())[0] == house.second
    await house.model.close()

    assert "".join(pieces)[:40] == undisturbed[:40]


@pytest.mark.slow
@pytest.mark.model
@needs_tokenizer
async def test_a_release_that_cannot_be_loaded_gives_way_to_the_previous_one(
    house: House, tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house.registry.promote(house.first)
    expected = await house.answer()
    misfit = house.registry.add(misfitting_lora(tmp_path / "lora"), CARD)

    house.registry.promote(misfit)  # what a registry can check is well; whether it fits, only the model knows
    answer, alert = await house.answer(), await house.model.alert()
    await house.model.close()

    assert answer == expected
    assert alert.startswith(f"Release {misfit} cannot serve: its LoRA does not fit the base model")
    assert f"release {house.first} answers" in alert and alert in caplog.text


def misfitting_lora(folder: Path) -> Path:
    """Of a model that is built otherwise."""
    from safetensors.numpy import load_file, save_file

    file = write_lora(folder, 3) / "adapter_model.safetensors"
    save_file({name.replace("q_proj", "query"): value for name, value in load_file(file).items()}, file)
    return folder


@pytest.mark.slow
@pytest.mark.model
@needs_tokenizer
async def test_what_serves_is_told_with_what_its_card_says(house: House) -> None:
    house.registry.promote(house.first)

    identity = await house.model.serving()

    assert (str(identity.release), identity.model) == (house.first, house.settings.model.id)
    assert (identity.may_word, identity.phrases) == (True, ["Hi there!"])
