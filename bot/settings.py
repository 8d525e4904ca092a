"""Every setting, read once: environment variables `TIMBRE_...` over `TIMBRE_HOME/timbre.toml` over defaults."""

import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bot.errors import SettingsInvalid
from bot.storage.address import without_passwords
from knowledge.settings import EmbeddingSettings, IndexSettings, IngestionSettings

PREFIX = "TIMBRE_"
SETTINGS_FILE = "timbre.toml"
DEFAULT_HOME = Path("~/.timbre")


class AnswerSettings(BaseModel):
    """TIMBRE_ANSWER__*"""

    model_config = ConfigDict(extra="forbid")
    wording: Literal["quote", "model", "auto"] = Field(
        "auto", description="quote: answers are quotes; model: the model words them; auto: where its evaluation allows it"
    )
    voice: Path | None = Field(None, description="Style guide with the fixed frames (voice.md); built-in when unset")
    ask_whom: str = Field("a colleague who knows", description="Whom replies name when the documents hold no answer")
    max_quotes: int = Field(3, ge=1, le=5, description="Quotes in one answer at most")


class ModelSettings(BaseModel):
    """TIMBRE_MODEL__*"""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())
    id: str = Field("SmolLM2-135M-Instruct", description="Language model: the built-in one, a Hugging Face id or a folder")
    url: str = Field("", description="An OpenAI-compatible server, such as http://localhost:8000/v1; then `id` is its model")
    api_key: SecretStr = Field(SecretStr(""), description="Key of that server")
    max_new_tokens: int = Field(120, ge=16, description="Tokens that one wording may have")
    context_tokens: int = Field(2048, ge=512, description="Tokens that prompt and wording may have together")
    timeout_s: float = Field(60.0, gt=0, description="Seconds after which a wording is given up and the quotes are sent")


class ChatSettings(BaseModel):
    """TIMBRE_CHAT__*: what holds for every platform."""

    model_config = ConfigDict(extra="forbid")
    first_admin: str = Field("", description="The first admin, such as slack:T1:U1 (`/timbre who-am-i` says your id)")
    helpful_emoji: str = Field("👍 +1 thumbsup", description="Reactions that count as helpful, separated by spaces")
    not_helpful_emoji: str = Field("👎 -1 thumbsdown", description="Reactions that count as not helpful, separated by spaces")
    max_late_h: float = Field(24.0, gt=0, description="Hours after which a missed question is reported to admins, not answered")
    max_turns: int = Field(30, ge=2, description="Answers in one thread at most; then a person has to take over")
    workers: int = Field(4, ge=1, description="Questions that are answered at the same time")
    health_port: int = Field(0, ge=0, le=65535, description="Port for /healthz and /readyz; 0: none")
    health_host: str = Field("127.0.0.1", description="Address on which /healthz and /readyz listen")


class SlackSettings(BaseModel):
    """TIMBRE_SLACK__*"""

    model_config = ConfigDict(extra="forbid")
    bot_token: SecretStr = Field(SecretStr(""), description="The bot's token, xoxb-...")
    app_token: SecretStr = Field(SecretStr(""), description="The app-level token for Socket Mode, xapp-...")
    signing_secret: SecretStr = Field(SecretStr(""), description="Checks requests in HTTP mode")
    client_id: str = Field("", description="For installation in many workspaces (OAuth, HTTP mode)")
    client_secret: SecretStr = Field(SecretStr(""), description="For installation in many workspaces (OAuth, HTTP mode)")
    http_port: int = Field(0, ge=0, le=65535, description="Port for HTTP mode; 0: Socket Mode")
    http_host: str = Field("127.0.0.1", description="Address on which HTTP mode listens")
    api_url: str = Field("https://slack.com/api/", description="Slack's Web API")
    support_group: str = Field("", description='The user group that "Ask a person" calls, such as S012345')

    @property
    def is_wanted(self) -> bool:
        return bool(self.bot_token.get_secret_value() or self.client_id)


class DiscordSettings(BaseModel):
    """TIMBRE_DISCORD__*"""

    model_config = ConfigDict(extra="forbid")
    token: SecretStr = Field(SecretStr(""), description="The bot's token")
    api_url: str = Field("https://discord.com/api/v10", description="Discord's REST API")
    gateway_url: str = Field("wss://gateway.discord.gg/", description="Discord's gateway")
    support_role: str = Field("", description='The role that "Ask a person" calls, by its id')

    @property
    def is_wanted(self) -> bool:
        return bool(self.token.get_secret_value())


class TrainingSettings(BaseModel):
    """TIMBRE_TRAINING__*"""

    model_config = ConfigDict(extra="forbid")
    include_private: bool = Field(
        False, description="Learn from private channels, direct messages and documents that not everyone may read, too"
    )
    min_rows: int = Field(20, ge=1, description="Rows that a dataset needs at least")
    held_out_share: float = Field(0.15, ge=0, lt=1, description="Share of the questions that judge a release and train none")
    names: Path | None = Field(None, description="File of further names to mask, one a line, such as customers")
    max_minutes: float = Field(60, gt=0, description="A run whose forecast is longer does not start")
    threads: int = Field(1, ge=1, description="Threads that train on a CPU; more than one slows answers down")
    memory_mb: int = Field(0, ge=0, description="Memory that training may use; 0: what is free when it starts")


class Settings(BaseSettings):
    """All settings. Raises SettingsInvalid through `load`, with one line per mistake."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid")

    home: Path = Field(DEFAULT_HOME, description="The folder that holds all state")
    database_url: str = Field(
        "",
        description="The SQL database, such as postgresql://user:password@host/name; SQLite in TIMBRE_HOME when unset",
        repr=False,
    )
    database_key: SecretStr = Field(SecretStr(""), description="Encrypts the SQLite database; losing it loses the data")
    models_dir: Path | None = Field(None, description="Prepared model weights; beside the installed program when unset")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("WARNING", description="How much is logged to stderr")
    embedding: EmbeddingSettings = Field(default_factory=EmbeddingSettings)
    index: IndexSettings = Field(default_factory=IndexSettings)
    ingestion: IngestionSettings = Field(default_factory=IngestionSettings)
    answer: AnswerSettings = Field(default_factory=AnswerSettings)
    model: ModelSettings = Field(default_factory=ModelSettings)
    chat: ChatSettings = Field(default_factory=ChatSettings)
    slack: SlackSettings = Field(default_factory=SlackSettings)
    discord: DiscordSettings = Field(default_factory=DiscordSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    cost_per_hour: float = Field(0.0, ge=0, description="What an hour of the machine that trains costs, for forecasts")

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource, dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:  # fmt: skip
        return (env_settings, init_settings)


def load() -> Settings:
    """The settings of this process. Raises SettingsInvalid with one line per mistake that says what to do."""
    home = Path(os.environ.get("TIMBRE_HOME") or DEFAULT_HOME).expanduser().absolute()
    problems = list(_unknown_variables())
    values: dict[str, Any] = {}
    try:
        values = read_file(home)
        settings = Settings(**{**values, "home": home})
    except ValidationError as err:
        problems += [
            _problem(error["loc"], error["msg"], error.get("input"), values)
            for error in err.errors()
            if not _is_told(error["loc"])
        ]
    except ValueError as err:  # a nested variable that is no JSON, such as TIMBRE_MODEL=x
        problems.append(f"{err}. Set the parts of a group one by one, such as TIMBRE_MODEL__ID.")
    if problems:
        raise SettingsInvalid("\n".join(problems))
    return settings.model_copy(update={"home": home})


def read_file(home: Path) -> dict[str, Any]:
    """What `timbre.toml` sets; nothing when there is no such file. Raises SettingsInvalid when it is no TOML."""
    path = home / SETTINGS_FILE
    try:
        return tomllib.loads(path.read_text()) if path.exists() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise SettingsInvalid(f"{path} is no valid TOML: {err}.") from err
    except OSError as err:
        raise SettingsInvalid(f"{path} cannot be read: {err.strerror}.") from err


@dataclass(frozen=True)
class Explained:
    """A setting with its value (secrets hidden) and where it came from: the environment, timbre.toml or default."""

    name: str
    value: str
    origin: str
    meaning: str


def explain(settings: Settings) -> list[Explained]:
    """Every setting, in order of definition."""
    in_file = read_file(settings.home)
    return [_explained(settings, path, field, in_file) for path, field in field_paths()]


def _explained(settings: Settings, path: tuple[str, ...], field: FieldInfo, in_file: dict[str, Any]) -> Explained:
    value: Any = settings
    for part in path:
        value = getattr(value, part)
    if isinstance(value, SecretStr):
        value = "(set, hidden)" if value.get_secret_value() else ""
    name = variable(path)
    origin = "environment" if name in os.environ else SETTINGS_FILE if _is_in(in_file, path) else "default"
    return Explained(name, "" if value is None else without_passwords(str(value)), origin, field.description or "")


def field_paths(model: type[BaseModel] = Settings, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """(path, field) of every setting, groups resolved, in order of definition."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from field_paths(annotation, (*path, name))
        else:
            yield (*path, name), field


def variable(path: tuple[str, ...]) -> str:
    """The environment variable of a setting: ("model", "url") -> TIMBRE_MODEL__URL."""
    return PREFIX + "__".join(path).upper()


def _unknown_variables() -> Iterator[str]:
    known = {variable(path) for path, _ in field_paths()}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            yield f"{name} is no setting.{_suggestion(name, known)} `timbre settings` lists them all."


def _is_told(location: tuple[int | str, ...]) -> bool:
    """Whether `_unknown_variables` names it: pydantic notices an unknown variable only in a group."""
    name = variable(tuple(str(part) for part in location))
    return name in os.environ and name not in {variable(path) for path, _ in field_paths()}


def _suggestion(name: str, known: set[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, known, 1)
    return f" Did you mean {close[0]}?" if close else ""


def _problem(location: tuple[int | str, ...], message: str, value: object, file_values: dict[str, Any]) -> str:
    path = tuple(str(part) for part in location)
    where = SETTINGS_FILE if _is_in(file_values, path) and variable(path) not in os.environ else "the environment"
    name = ".".join(path) if where == SETTINGS_FILE else variable(path)
    if "Extra inputs" in message:
        return f"{name} in {where} is no setting. `timbre settings` lists them all."
    shown = "(hidden)" if path[-1].endswith(("key", "token", "secret")) else repr(value)
    message = message.removeprefix("Value error, ")
    return f"{name} in {where} has the wrong value {shown}: {message[:1].lower()}{message[1:]}."


def _is_in(values: dict[str, Any], path: tuple[str, ...]) -> bool:
    for part in path:
        if not isinstance(values, dict) or part not in values:
            return False
        values = values[part]
    return True
