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
from ipaddress import IPv6Address
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
COUNTED = (
    "/queue/join",
    "/call/",
    "/run/",
    "/api/",
    "/component_server",
    "/upload",
    "/mcp",
)  # requests that cost something
JOINS = ("/queue/join", "/call/")  # these answer 503 when the queue is full
BODY = 2 * LIMITS.megabytes * 1_000_000 * 4 // 3 + 1_000_000  # bytes of a request: two photos in base64, and a form
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


TOO_LONG = ("error.file_too_large", 413)  # what is said of it
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
            if not self.rate.allows(network((scope.get("client") or ("",))[0])):
                return await refuse(send, say(language(scope), "error.rate"))
        body = Body(receive, BODY)
        answer = Answer(scope, send, body)
        length = header(scope, "content-length")
        if length.isdecimal() and int(length[:20]) > BODY:
            return await answer.refuse(*TOO_LONG)
        if "/component_server" in scope["path"] and "multipart" in header(scope, "content-type").lower():
            return await answer.refuse("error.request", 400)  # no drawing sends files
        try:
            await self.app(scope, body, answer)
        except Exception as error:
            logging.getLogger(__name__).warning(place(error))
            await answer.end()


class Body:
    """A request's body. Where it becomes longer than it may, it breaks off as if the visitor had left."""

    def __init__(self, receive: Receive, most: int) -> None:
        self.receive, self.left = receive, most

    async def __call__(self) -> Message:
        """Its next part."""
        message = await self.receive()
        self.left -= len(message.get("body", b""))
        return {"type": "http.disconnect"} if self.too_long else message

    @property
    def too_long(self) -> bool:
        """Whether more came than may."""
        return self.left < 0


class Answer:
    """Adds the headers, and says in words what Gradio's 503 means, or that the body was too long."""

    def __init__(self, scope: Scope, send: Send, body: Body) -> None:
        self.scope, self.pass_on, self.body, self.replaced, self.begun = scope, send, body, False, False
        self.joins = any(part in scope["path"] for part in JOINS)

    async def __call__(self, message: Message) -> None:
        """One message of the response."""
        if self.replaced:
            return
        if message["type"] == "http.response.start":
            if self.body.too_long:
                return await self.refuse(*TOO_LONG)
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
        await refuse(self.pass_on, say(language(self.scope), key, limit=LIMITS.megabytes), status)

    async def end(self) -> None:
        """Finish after an error: with a sentence, or where an answer has begun, by its end."""
        if self.begun:
            await self.pass_on({"type": "http.response.body", "body": b""})
        elif not self.replaced:
            await self.refuse(*(TOO_LONG if self.body.too_long else ("error.request", 400)))


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


def header(scope: Scope, name: str) -> str:
    """A header of the request; empty where it has none."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name.encode()), "")


def network(address: str) -> str:
    """What requests are counted by: an address, of IPv6 its first half, since a visitor has all of the second."""
    try:
        number = IPv6Address(address)
    except ValueError:
        return address
    return str(number.ipv4_mapped or f"{int(number) >> 64:x}::/64")


def language(scope: Scope) -> str:
    """The page's language, which it keeps in a cookie, else the browser's."""
    try:
        chosen = SimpleCookie(header(scope, "cookie")).get("gallery.lang")
    except CookieError:
        chosen = None
    if chosen and chosen.value in LANGUAGES:
        return chosen.value
    return "zh-CN" if header(scope, "accept-language").lower().startswith("zh") else "en"
