"""Settings of an OpenAI-compatible endpoint."""

from __future__ import annotations

import re
from dataclasses import dataclass

from anyecg.types import ConfigError


@dataclass(frozen=True)
class EndpointConfig:
    """Which model is asked, where, and how.

    url: as far as /v1, such as http://localhost:8000/v1 (empty: there is no endpoint); model: as the endpoint calls it;
    key_env: the environment variable that holds the key, which is read from nowhere else; concurrency: requests at
    once; timeout: s to wait for a reply; retries: of a request that timed out or met 408, 409, 429 or 5xx, with
    backoff; max_tokens: of a reply; temperature, seed: of the sampling (seed null: none is sent).
    """

    url: str = ""
    model: str = ""
    key_env: str = "OPENAI_API_KEY"
    concurrency: int = 8
    timeout: float = 60.0
    retries: int = 6
    max_tokens: int = 2048
    temperature: float = 0.0
    seed: int | None = 0

    def __post_init__(self) -> None:
        wrong = []
        if self.url and not re.match(r"https?://.", self.url):
            wrong.append(f"url: it begins with http:// or https:// (and ends with /v1 as a rule), not '{self.url}'")
        if self.url and not self.model:
            wrong.append(f"model: name the model to ask at {self.url}")
        if self.model and not self.url:
            wrong.append(f"url: say where {self.model} is served, such as http://localhost:8000/v1")
        if not re.fullmatch(r"[A-Za-z_]\w*", self.key_env):  # not repeated here: it may be the key itself
            wrong.append("key_env: the name of an environment variable, never the key")
        wrong += [
            f"{name}: at least 1, not {getattr(self, name)}"
            for name in ("concurrency", "max_tokens")
            if getattr(self, name) < 1
        ]
        wrong += [
            f"{name}: {getattr(self, name)} is negative"
            for name in ("retries", "temperature")
            if getattr(self, name) < 0
        ]
        if self.timeout <= 0:
            wrong.append(f"timeout: {self.timeout} s leaves no time for a reply")
        if wrong:
            raise ConfigError("; ".join(wrong))

    def sampling(self) -> dict:
        """What a reply depends on, beside the messages: not where the model is served, nor how fast it is asked."""
        return {"model": self.model, "max_tokens": self.max_tokens, "temperature": self.temperature, "seed": self.seed}
