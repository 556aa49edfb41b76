"""What the pages answer alike: their own files, and errors as `{"error": text}`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from importlib import resources

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

__all__ = ["NO_STORE", "PAGE_FILES", "http_error", "our_error", "page_file"]

NO_STORE = {"cache-control": "no-store"}
"""Headers of what is true only now."""

PAGE_FILES = {
    "": ("page.html", "text/html"),
    "style.css": ("style.css", "text/css"),
    "app.js": ("app.js", "text/javascript"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
"""Address -> file below `static/`, and its type: what every page has."""


def page_file(package: str, files: Mapping[str, tuple[str, str]]) -> Callable[[Request], Response]:
    """Answers `/` and `/{file}` with parts of a page; only what is listed exists.

    Args:
        package: whose folder `static` has them, e.g. `roboscale.web.bench`.
        files: address -> file and type, as `PAGE_FILES`.
    """

    def answer(request: Request) -> Response:
        file = files.get(request.path_params.get("file", ""))
        if file is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no such file")
        content = resources.files(package).joinpath("static", file[0]).read_bytes()
        return Response(content, media_type=file[1], headers={"cache-control": "no-cache"})

    return answer


def http_error(request: Request, error: Exception) -> Response:
    """What was asked does not exist, or is no request."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers=NO_STORE)


def our_error(request: Request, error: Exception) -> Response:
    """What was asked does not fit: the text says why."""
    return JSONResponse({"error": str(error)}, HTTPStatus.UNPROCESSABLE_ENTITY, headers=NO_STORE)
