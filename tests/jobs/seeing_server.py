"""A model that sees, behind an OpenAI-compatible address, as a test wants it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class SeeingServer:
    """Answers every question with a text; `asked` are the bodies that came.

    Args:
        answer: the body of a question -> the model's text.
    """

    def __init__(self, answer: Callable[[dict[str, Any]], str]) -> None:
        self.asked: list[dict[str, Any]] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                """Quiet."""

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                asked.append(body)
                choice = {"message": {"content": answer(body)}, "finish_reason": "stop"}
                data = json.dumps(
                    {"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
                ).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> SeeingServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
