"""A stand-in for an OpenAI-compatible server, written apart from our client; prints its port.

The task's text says how to misbehave. It looks closely at what it is sent, and answers 400 to what it does not know.
"""

from __future__ import annotations

import base64
import io
import json
import re
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image

GOOD = '{"actions": [[0.0, 0.1, 0.2], [0.5, 0.5, 0.5]]}'
TEXTS = {
    "fenced": f"```json\n{GOOD}\n```",
    "prose": f"I think {{the gripper}} is open, so {GOOD} will do.",
    "nan": '{"actions": [[0, NaN, 0]]}',
    "narrow": '{"actions": [[0, 1]]}',
    "words": "I would rather not move.",
    "strings": '{"actions": [["left", "a bit", "up"]]}',
    "many": json.dumps({"actions": [[0, 0, 0]] * 30}),
    "cut": '{"actions": [[0.0, 0.1',
}
busy: set[str] = set()


class Chat(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def send(self, status: int, body: Any, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        problem = wrong(self.path, asked)
        if problem:
            return self.send(400, {"error": {"message": problem}})
        (text,) = re.findall("task: (.*)", asked["messages"][1]["content"][0]["text"])
        if text == "secret" and self.headers["Authorization"] != "Bearer k":
            return self.send(401, {"error": {"message": "no such key"}})
        if text == "broken":
            return self.send(500, {"error": {"message": "out of memory"}})
        if text == "garbage":
            return self.send(200, b"<html>")
        if text == "full" or (text == "busy" and text not in busy):
            busy.add(text)
            return self.send(429, {"error": {"message": "slow down"}}, **{"Retry-After": "0.05"})
        if text == "hang":
            time.sleep(20)
        if text == "slow":
            time.sleep(0.5)
        message = {"role": "assistant", "content": TEXTS.get(text, GOOD)}
        if text == "refuse":
            message = {"role": "assistant", "content": None, "refusal": "I must not move robots"}
        if text == "parts":
            message["content"] = [{"type": "text", "text": GOOD[:9]}, {"type": "text", "text": GOOD[9:]}]
        reply: dict[str, Any] = {
            "model": "tiny-2026",
            "choices": [{"message": message, "finish_reason": "length" if text == "cut" else "stop"}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1020},
        }
        if text == "uncounted":
            del reply["usage"]
        return self.send(200, reply)


def wrong(path: str, asked: dict[str, Any]) -> str:
    """What is not as OpenAI documents it, or not as the test has it; nothing where all is well."""
    if path != "/v1/chat/completions" or asked.get("model") != "tiny":
        return f"no {asked.get('model')} at {path}"
    if set(asked) - {"model", "messages", "seed", "temperature", "max_tokens"} or not isinstance(asked["seed"], int):
        return f"unknown: {list(asked)}"
    system, user = asked["messages"]
    if (system["role"], user["role"]) != ("system", "user") or not isinstance(system["content"], str):
        return "roles"
    for needed in ("10 actions a second", "dx, dy, dz", "unit m", "from [-1, -1, -1] to [1, 1, 1]", "shoulder, elbow"):
        if needed not in system["content"]:
            return f"the system text has no {needed!r}"
    pictures = [part["image_url"]["url"] for part in user["content"] if part["type"] == "image_url"]
    if "observation.state: [1, 2.5]" not in user["content"][0]["text"] or len(pictures) != 1:
        return f"observation: {user['content'][0]['text']}"
    seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(pictures[0].removeprefix("data:image/png;base64,")))))
    if not np.array_equal(seen, np.arange(8 * 4 * 3, dtype=np.uint8).reshape(8, 4, 3)):
        return f"picture {seen.shape}"
    return ""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Chat)
    print(server.server_address[1], flush=True)
    server.serve_forever()
