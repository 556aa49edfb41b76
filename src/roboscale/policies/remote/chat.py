"""An OpenAI-compatible server: one POST for each question, a text with JSON for an answer, and what it cost.

    POST URL/chat/completions {"model": "...", "messages": [...], "seed": 7}
    -> {"choices": [{"message": {"content": "{\"actions\": [[0, 0.1]]}"}}], "usage": {"prompt_tokens": 812, ...}}

Knows HTTP, JSON and tokens. Does not know what the numbers mean. The standard library is enough.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from roboscale.core import InfrastructureError, PolicyError
from roboscale.policies.remote.connection import MAX_REPLY_BYTES

__all__ = ["ChatServer", "Reply", "Usage", "actions_in", "objects_in"]

_BUSY = (429, 503)
_PAUSE_S = 1.0


@dataclass(slots=True, kw_only=True)
class Usage:
    """What one episode cost, as its server counts it.

    Args:
        price_in, price_out: of a million tokens, in USD; `None` where nobody said.
        requests: questions that were answered.
        uncounted: how many of them came back without a count of tokens.
        asked_again: how often a server that was busy was asked once more.
        models: what the server called itself in its answers.
    """

    price_in: float | None = None
    price_out: float | None = None
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0
    asked_again: int = 0
    models: dict[str, None] = field(default_factory=dict)

    @property
    def usd(self) -> float | None:
        """Money; `None` where a price or a count is not known, never 0."""
        if self.price_in is None or self.price_out is None or self.uncounted:
            return None
        return (self.prompt_tokens * self.price_in + self.completion_tokens * self.price_out) / 1e6

    def add(self, reply: Mapping[str, Any]) -> None:
        """Counts one answer."""
        self.requests += 1
        said = reply.get("usage")
        counts = [
            said.get(name) if isinstance(said, Mapping) else None for name in ("prompt_tokens", "completion_tokens")
        ]
        if all(type(count) is int and count >= 0 for count in counts):
            self.prompt_tokens += counts[0] or 0
            self.completion_tokens += counts[1] or 0
        else:
            self.uncounted += 1
        if isinstance(reply.get("model"), str):
            self.models[reply["model"][:100]] = None

    def to_json(self) -> dict[str, Any]:
        """For a trial's details."""
        return {
            "requests": self.requests,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "uncounted": self.uncounted,
            "asked_again": self.asked_again,
            "usd": self.usd,
            "models": list(self.models),
        }


@dataclass(frozen=True, slots=True)
class Reply:
    """The text of an answer, and why it ended there (`stop`, `length`, ...)."""

    text: str
    finish: str


class ChatServer:
    """One address.

    Args:
        url: `http://host:port/v1` or `https://...`; `/chat/completions` is put behind it.
        api_key: sent as `Authorization: Bearer <key>`.
        attempts: how often a server that is busy (429, 503) is asked in all.
    """

    def __init__(self, url: str, api_key: str | None, attempts: int) -> None:
        parts = urlsplit(url)
        self.url, self._attempts = url, attempts
        self._host, self._port, self._path = parts.hostname or "", parts.port, parts.path.rstrip("/")
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {api_key}"} if api_key else {}
        )
        self._key_sent = bool(api_key)

    def ask(self, body: Mapping[str, Any], timeout_s: float, usage: Usage) -> Reply:
        """What the server answers, within the time; counted in `usage` whatever is in it.

        Raises:
            InfrastructureError: no answer in time, none of this protocol, or the server's own error.
            PolicyError: the model refused, or said nothing.
        """
        until = time.monotonic() + timeout_s
        sent = json.dumps(body).encode()
        for attempt in range(1, self._attempts + 1):
            status, headers, answer = self._post(sent, until, timeout_s)
            pause_s = _pause_s(headers.get("retry-after"))
            if status not in _BUSY or attempt == self._attempts or time.monotonic() + pause_s >= until:
                break
            usage.asked_again += 1
            time.sleep(pause_s)
        if status != 200:
            raise InfrastructureError(f"{self.url}: HTTP {status}: {_said(answer)}{self._hint(status)}")
        try:
            reply = json.loads(answer)
            choice = reply["choices"][0]
            message, finish = choice["message"], str(choice.get("finish_reason") or "")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise InfrastructureError(
                f"{self.url}: answer: expected choices[0].message, found {answer[:80].decode(errors='replace')!r}"
            ) from error
        usage.add(reply)
        return Reply(self._text(message, finish), finish)

    def _text(self, message: Any, finish: str) -> str:
        content = message.get("content") if isinstance(message, Mapping) else None
        if isinstance(content, Sequence) and not isinstance(content, str):  # in parts
            texts = [part.get("text") for part in content if isinstance(part, Mapping)]
            content = "".join(text for text in texts if isinstance(text, str))
        if isinstance(content, str) and content.strip():
            return content
        refusal = message.get("refusal") if isinstance(message, Mapping) else None
        why = f"it refused: {str(refusal)[:200]}" if refusal else f"no text (finish_reason {finish or 'not said'!r})"
        raise PolicyError(f"{self.url}: answer: {why}")

    def _post(self, body: bytes, until: float, timeout_s: float) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers by small letters, and the body."""
        connection = self._kind(self._host, self._port, timeout=max(0.01, until - time.monotonic()))
        try:
            connection.request("POST", f"{self._path}/chat/completions", body, self._headers)
            response = connection.getresponse()
            parts: list[bytes] = []
            while block := response.read1(2**16):  # a server that drips is given up in time, too
                parts.append(block)
                if time.monotonic() > until:
                    raise TimeoutError
                if sum(map(len, parts)) > MAX_REPLY_BYTES:
                    raise InfrastructureError(f"{self.url}: answer: more than {MAX_REPLY_BYTES} bytes")
            return response.status, {k.lower(): v for k, v in response.getheaders()}, b"".join(parts)
        except TimeoutError as error:
            raise InfrastructureError(f"{self.url}: no answer within {timeout_s:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise InfrastructureError(f"{self.url}: {type(error).__name__}: {error}") from error
        finally:
            connection.close()

    def _hint(self, status: int) -> str:
        if status in (401, 403):
            said = "was not taken" if self._key_sent else "is missing"
            return f"; the key (environment variable ROBOSCALE_API_KEY) {said}"
        return "; is the address one that ends in /v1?" if status == 404 else ""


def actions_in(text: str) -> Any:
    """The first JSON object with `actions`, wherever it stands in a text: models like to add words and fences.

    >>> actions_in('Sure: {"actions": [[0, 1]]}')
    [[0, 1]]

    Raises:
        PolicyError: there is none.
    """
    for value in objects_in(text):
        if "actions" in value:
            return value["actions"]
    short = " ".join(text.split())
    shown = short if len(short) <= 120 else f"{short[:117]}..."
    raise PolicyError(f'answer: expected JSON with "actions", found {shown!r}')


def objects_in(text: str) -> Iterator[dict[str, Any]]:
    """Every JSON object that begins somewhere in a text and is in no other one."""
    decoder, at = json.JSONDecoder(), text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            yield value
        at = text.find("{", end)


def _pause_s(said: str | None) -> float:
    """How long a busy server wants to be left alone."""
    try:
        return max(0.0, float(said or _PAUSE_S))
    except ValueError:  # a date
        return _PAUSE_S


def _said(answer: bytes) -> str:
    """The message of a server's error, or the beginning of whatever it is."""
    try:
        error = json.loads(answer)["error"]
        said = error["message"] if isinstance(error, Mapping) else error
    except (ValueError, LookupError, TypeError, RecursionError):
        said = answer.decode(errors="replace")
    return " ".join(str(said).split())[:200] or "no text"
