"""Between strangers and the gallery: headers, a rate for every address, and a word when all is full.

An ASGI middleware (https://asgi.readthedocs.io, HTTP connection scope). Nothing here logs or keeps
what visitors send.
"""

import json
import logging
import os
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from threading import Event
from typing import Any

from demos.limits import LIMITS
from demos.text import LANGUAGES, say

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

UNUSED = (
    "/custom_component/",
    "/proxy=",
)  # Gradio's routes that the gallery has no use for; one prints what it is asked
COUNTED = ("/queue/join", "/call/", "/component_server", "/upload", "/mcp")  # requests that cost something
JOINS = ("/queue/join", "/call/")  # these answer 503 when the queue is full
ADDRESSES = 10_000  # remembered at once
MINUTE = 60.0
HUB = " https://huggingface.co https://*.hf.space" if "SPACE_ID" in os.environ else ""  # shows Spaces in a frame
HEADERS = {
    # Gradio's page needs inline scripts and `eval`; all else comes from here.
    "content-security-policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    f"font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; frame-ancestors 'self'{HUB}",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=(), payment=()",
}


closing = Event()  # set when the server has been told to stop


class Rate:
    """How often an address may come: `limit` times in each minute."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit, self.clock = limit, clock
        self.counts: dict[str, tuple[int, int]] = {}  # address -> (minute, requests in it)

    def allows(self, address: str) -> bool:
        """Count one request, and say whether it is within the limit."""
        now = int(self.clock() / MINUTE)
        if len(self.counts) >= ADDRESSES:
            self.counts = {a: seen for a, seen in self.counts.items() if seen[0] == now}
        minute, count = self.counts.get(address, (now, 0))
        self.counts[address] = (now, count + 1 if minute == now else 1)
        return not self.limit or self.counts[address][1] <= self.limit


class Guard:
    """The middleware."""

    def __init__(self, app: App) -> None:
        self.app, self.rate = app, Rate(LIMITS.rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with headers of ours, or refuse it."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if any(part in scope["path"] for part in UNUSED):
            return await refuse(send, "", 404)
        if scope["method"] == "POST" and any(part in scope["path"] for part in COUNTED):
            if closing.is_set():
                return await refuse(send, say(language(scope), "error.closing"))
            if not self.rate.allows((scope.get("client") or ("",))[0]):
                return await refuse(send, say(language(scope), "error.rate"))
        answer = Answer(scope, send)
        try:
            await self.app(scope, receive, answer)
        except Exception as error:
            logging.getLogger(__name__).warning(place(error))
            await answer.end()


class Answer:
    """Adds the headers, and says in words what Gradio's 503 means."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope, self.pass_on, self.replaced, self.begun = scope, send, False, False
        self.joins = any(part in scope["path"] for part in JOINS)

    async def __call__(self, message: Message) -> None:
        """One message of the response."""
        if self.replaced:
            return
        if message["type"] == "http.response.start":
            if message["status"] == 503 and self.joins:
                return await self.refuse("error.busy", 429)
            if message["status"] == 500:  # Gradio's answer to what it cannot take apart
                return await self.refuse("error.request", 400)
            self.begun = True
            message["headers"] = [*message.get("headers", ()), *fixed()]
        await self.pass_on(message)

    async def refuse(self, key: str, status: int) -> None:
        """A sentence in place of what the gallery would have answered."""
        self.replaced = True
        await refuse(self.pass_on, say(language(self.scope), key), status)

    async def end(self) -> None:
        """Finish after an error: with a sentence, or where an answer has begun, by its end."""
        if self.begun:
            await self.pass_on({"type": "http.response.body", "body": b""})
        elif not self.replaced:
            await self.refuse("error.request", 400)


def place(error: BaseException) -> str:
    """An error's kind and where it was raised; never its message, which may hold what a visitor sent."""
    frames = traceback.extract_tb(error.__traceback__)[-1:]
    return " ".join([type(error).__name__, *(f"{frame.filename}:{frame.lineno}" for frame in frames)])


class Places(logging.Formatter):
    """Log records without their messages, but for ours: libraries put into them what a visitor sent."""

    def format(self, record: logging.LogRecord) -> str:
        """Level, logger and place."""
        own = f" {record.getMessage()}" if record.name in (__name__, "demos.tours") else ""
        return f"{record.levelname} {record.name} {record.pathname}:{record.lineno}{own}"


def fixed() -> list[tuple[bytes, bytes]]:
    """The headers that every response gets."""
    return [(name.encode(), value.encode()) for name, value in HEADERS.items()]


async def refuse(send: Send, sentence: str, status: int = 429) -> None:
    """An error with a sentence; Gradio's page shows `detail`."""
    body = json.dumps({"detail": sentence}, ensure_ascii=False).encode()
    headers = [(b"content-type", b"application/json; charset=utf-8"), (b"retry-after", b"10"), *fixed()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def language(scope: Scope) -> str:
    """The page's language, which it keeps in a cookie, else the browser's."""
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    try:
        chosen = SimpleCookie(headers.get(b"cookie", "")).get("gallery.lang")
    except CookieError:
        chosen = None
    if chosen and chosen.value in LANGUAGES:
        return chosen.value
    return "zh-CN" if headers.get(b"accept-language", "").lower().startswith("zh") else "en"
