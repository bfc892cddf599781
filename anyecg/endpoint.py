"""A client of any OpenAI-compatible endpoint that keeps every reply on disk, so that nothing is asked, or paid for,
twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from anyecg.config.endpoint import EndpointConfig
from anyecg.config.fingerprint import fingerprint
from anyecg.progress_bar import progress_bar
from anyecg.types import AnyECGError, ConfigError, DataError

AHEAD = 4  # requests under way or waiting for their turn, times the concurrency: a slow reply holds up few others
REFUSED = (400, 413, 422)  # HTTP statuses that speak of the request itself, such as a prompt that is too long
HOPELESS = 20  # requests refused before any is answered, or without a reply in a row: it is not the requests
# what a reply without text is: none came in time; it was no chat completion; a refusal
LATE, GARBLED, REFUSAL = ("late", "garbled", "refused")


class EndpointError(AnyECGError):
    """An endpoint that does not answer; what it answered before is kept."""


@dataclass(frozen=True)
class Request:
    """One conversation to continue.

    messages: as `{"role": ..., "content": text or a list of its parts}`; about: whatever the asker wants back with the
    reply.
    """

    messages: tuple[Mapping[str, Any], ...]
    about: Any = None


@dataclass(frozen=True)
class Reply:
    """What came back: text, and why it ended ("stop", or "length" where max_tokens cut it); or error, why there is no
    text.

    trouble: LATE, GARBLED or REFUSAL, the kind of the error; "" where there is none.
    """

    request: Request
    text: str = ""
    finish: str = ""
    error: str = ""
    cached: bool = False
    trouble: str = ""


class Endpoint:
    """A model behind an endpoint, with its replies kept in the file `cache` (SQLite).

    A kept reply is found again by model, sampling and messages, whatever the address. The file is safe to be killed at
    any time: a reply is on disk before it is handed on.
    """

    def __init__(self, cfg: EndpointConfig, cache: Path | str) -> None:
        if not cfg.url:
            raise ConfigError("there is no endpoint to ask: give its url and a model")
        self.cfg, self.cache = cfg, Path(cache)

    def ask(self, requests: Iterable[Request], total: int | None = None, progress: bool = True) -> Iterator[Reply]:
        """A reply for each request, in order; `requests` is read a little ahead of the replies.

        total: how many requests there are, for the progress bar and for errors. A request that the endpoint refuses
        for itself gives a Reply with `error`; so does one that gets no reply in time, or none that is a chat
        completion. EndpointError where the endpoint is down, refuses the key or every request, or leaves HOPELESS of
        them in a row, or all, without a reply; DataError where the cache cannot be read or written.
        """
        try:
            from anyio.from_thread import start_blocking_portal  # a dependency of openai
            from openai import AsyncOpenAI
        except ImportError as error:
            raise EndpointError(
                "asking an endpoint needs the package openai: pip install 'anyecg[endpoint]'"
            ) from error
        key = os.environ.get(self.cfg.key_env)
        client = AsyncOpenAI(
            base_url=self.cfg.url, api_key=key or "none", timeout=self.cfg.timeout, max_retries=self.cfg.retries
        )
        with contextlib.closing(_Kept(self.cache)) as kept, progress_bar(progress) as bar:
            session = _Session(self.cfg, client, kept, key)
            task = bar.add_task(f"asking {Path(self.cfg.model).name}", total=total)
            waiting: deque = deque()
            try:
                # The requests live in a thread of their own; whatever ends this block (Ctrl-C too) cancels them at
                # once.
                with start_blocking_portal() as portal, portal.wrap_async_context_manager(client):
                    for request in requests:
                        waiting.append(portal.start_task_soon(session.reply, request))
                        if len(waiting) >= AHEAD * self.cfg.concurrency:
                            yield waiting.popleft().result()
                            bar.advance(task)
                    while waiting:
                        yield waiting.popleft().result()
                        bar.advance(task)
                session.finish()
            except _Unanswered as why:
                raise EndpointError(
                    f"{self.cfg.url} (model {self.cfg.model}): {_hidden(str(why), key)}. {session.answered} of "
                    f"{'?' if total is None else total} requests are answered "
                    f"and kept in {self.cache}; give the same command when this is mended: it goes on from there"
                ) from None  # the library's own errors may repeat the key


class _Unanswered(Exception):
    """Why an endpoint is given up, as the rest of a sentence."""


class _Passed(Exception):
    """Why one request has no reply while others may have; trouble: as a Reply's."""

    def __init__(self, why: str, trouble: str) -> None:
        super().__init__(why)
        self.trouble = trouble


class _Session:
    """The requests of one call of `ask`."""

    def __init__(self, cfg: EndpointConfig, client: Any, kept: _Kept, key: str | None) -> None:
        self.cfg, self.client, self.kept, self.key = cfg, client, kept, key
        self.answered = self.passed = self.silent = (
            0  # requests with a reply; without one; without one or a refusal, since the last
        )
        self._last: _Passed | None = None
        self._slots = asyncio.Semaphore(cfg.concurrency)
        # the same question twice at once is asked once
        self._alike: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def reply(self, request: Request) -> Reply:
        """The kept reply to a request, or the endpoint's."""
        messages = [dict(message) for message in request.messages]
        key = fingerprint(self.cfg.sampling(), messages, length=64)
        async with self._alike.setdefault(key, asyncio.Lock()):
            found = self.kept.get(key)
            cached = found is not None
            if not cached:
                try:
                    async with self._slots:
                        found = await self._asked(messages)
                except _Passed as why:
                    self._pass_over(why)
                    return Reply(request, error=_hidden(str(why), self.key), trouble=why.trouble)
                self.silent = 0
                self.kept.put(key, self.cfg.model, *found)
            self.answered += 1
            return Reply(request, *found, cached=cached)

    async def _asked(self, messages: list[dict]) -> tuple[str, str]:
        """The endpoint's text, and why it ended."""
        import openai

        settings = {name: value for name, value in self.cfg.sampling().items() if value is not None}
        try:
            response = await self.client.chat.completions.with_raw_response.create(messages=messages, **settings)
            return _completion(response.text)
        except openai.APITimeoutError:
            tried = (
                f"no reply within {self.cfg.timeout:g} s (tries: {self.cfg.retries + 1}); a slow model needs a "
                f"longer timeout"
            )
            raise _Passed(tried, LATE) from None
        except openai.APIConnectionError as error:
            raise _Unanswered(
                f"cannot be reached: {error.__cause__ or error} (tries: {self.cfg.retries + 1})"
            ) from None
        except openai.APIStatusError as error:
            why = _short(error.message)
            if error.status_code in (401, 403):
                key = "does not accept the key in" if os.environ.get(self.cfg.key_env) else "asks for a key: set"
                raise _Unanswered(
                    f"{key} the environment variable {self.cfg.key_env} (HTTP {error.status_code})"
                ) from None
            if error.status_code not in REFUSED:
                raise _Unanswered(why) from None
            raise _Passed(why, REFUSAL) from None

    def _pass_over(self, why: _Passed) -> None:
        """Count a request without a reply; _Unanswered where it is not the request."""
        self.passed, self._last = self.passed + 1, why
        self.silent = 0 if why.trouble == REFUSAL else self.silent + 1
        if self.silent >= HOPELESS or (self.passed >= HOPELESS and not self.answered):
            raise self._given_up()

    def finish(self) -> None:
        """_Unanswered where no request got a reply, though none was refused for itself."""
        if self.silent and self.silent == self.passed and not self.answered:
            raise self._given_up()

    def _given_up(self) -> _Unanswered:
        which = (
            f"{self.silent} requests in a row" if self.answered else f"every one of the first {self.passed} requests"
        )
        what = {LATE: "stayed without a reply", GARBLED: "got no chat completion", REFUSAL: "was refused"}[
            self._last.trouble
        ]
        return _Unanswered(f"{which} {what}: {self._last}")


def _completion(body: str) -> tuple[str, str]:
    """The text of a chat completion and why it ended."""
    try:
        choice = json.loads(body)["choices"][0]
        text, finish = choice["message"].get("content") or "", choice.get("finish_reason") or ""
        return text.encode(errors="replace").decode(), str(finish)
    except (ValueError, LookupError, TypeError, AttributeError):
        raise _Passed(
            f"what it sends is no chat completion (its url ends with /v1 as a rule): {_short(body)}", GARBLED
        ) from None


def _hidden(text: str, key: str | None) -> str:
    """A text without the key, which an endpoint may repeat."""
    return text.replace(key, "***") if key else text


def _short(text: str) -> str:
    return " ".join(text.split())[:200]


class _Kept:
    """The replies on disk; each is committed as it comes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._telling():
            self._file = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=NORMAL")
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, model TEXT, text TEXT, finish TEXT) "
                "WITHOUT ROWID"
            )

    def get(self, key: str) -> tuple[str, str] | None:
        with self._telling():
            return self._file.execute("SELECT text, finish FROM replies WHERE key = ?", (key,)).fetchone()

    def put(self, key: str, model: str, text: str, finish: str) -> None:
        with self._telling():
            self._file.execute("INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?)", (key, model, text, finish))

    def close(self) -> None:
        self._file.close()

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", None)
            if code == sqlite3.SQLITE_FULL:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path)) from error
            if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                raise DataError(
                    f"{self.path} is damaged, or no file of replies ({error}); delete it: what it held is asked again"
                ) from error
            raise DataError(
                f"{self.path}: replies cannot be kept there ({error}); mend that, then give the same command"
            ) from error
