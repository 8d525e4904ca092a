"""What can be set about knowledge. Composed into the whole settings by `bot/settings.py`; every field is in the README."""

import os
import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator


class EmbeddingSettings(BaseModel):
    """TIMBRE_EMBEDDING__*"""

    model_config = ConfigDict(extra="forbid")
    model: str = Field("all-MiniLM-L6-v2", description="Embedding model: the built-in one, a Hugging Face id or a folder")
    runtime: Literal["onnx", "torch"] = Field("onnx", description="onnx: int8 on ONNX Runtime; torch: sentence-transformers")
    workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, description="Processes that embed in bulk")


class IndexSettings(BaseModel):
    """TIMBRE_INDEX__*"""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["embedded", "weaviate"] = Field("embedded", description="embedded: in the SQL database; weaviate: on a server")
    url: str = Field("http://localhost:8080", description="The Weaviate server; https means TLS")
    grpc_port: int = Field(50051, ge=1, le=65535, description="Its gRPC port, on the same host")
    api_key: SecretStr = Field(SecretStr(""), description="Key of the Weaviate server")
    name: str = Field("Timbre", description="Alias and prefix of its collections, one for each installation")

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        if not re.fullmatch(r"https?://[^/:\s]+(:\d{1,5})?/?", url):
            raise ValueError("write http://HOST:PORT, or https://HOST:PORT for TLS")
        return url.rstrip("/")

    @field_validator("name")
    @classmethod
    def _is_collection_name(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", name):
            raise ValueError("write a capital letter and then letters and digits only")
        return name


class IngestionSettings(BaseModel):
    """TIMBRE_INGESTION__*"""

    model_config = ConfigDict(extra="forbid")
    max_file_mb: int = Field(50, ge=1, description="Larger files are reported and left out")
    parser_memory_mb: int = Field(1024, ge=256, description="Memory that parsing one file may use")
    parser_cpu_s: int = Field(30, ge=1, description="CPU seconds that parsing one file may use")
