"""Preview: what a shared link looks like before it is opened: its title, words and a picture.

Whoever draws previews runs no script, so the page's own HTML must say it. A middleware writes it
over the tags of Gradio, from the query alone; nothing is loaded for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..pages.starts import FILE, STARTS
from ..question.state import State, from_query
from ..question.title import title
from .whole import changed

PICTURE = FILE.with_name("preview.jpg")
NAME = "featvis: what a vision network has learned"
WORDS = "Filters, feature maps, evidence and dreams of any vision network, each with its link."
OLD = re.compile(
    rb'<meta\s+(?:property="og:|name="twitter:|name="description)[^>]*>|<title>[^<]*</title>'
)


async def picture(request: Request) -> Response:
    headers = {"Cache-Control": "public, max-age=86400"}
    return Response(PICTURE.read_bytes(), media_type="image/jpeg", headers=headers)


ROUTES = (Route(f"/{PICTURE.name}", picture),)


class Preview:
    """Writes the head of the page anew."""

    def __init__(self, app: Any, root: Callable[[Request], str]) -> None:
        self.app, self.root = app, root

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        path = scope.get("path", "")
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
        elif path.rstrip("/") == scope.get("root_path", "").rstrip("/"):
            await changed(self.app, scope, receive, send, lambda body: self._written(scope, body))
        else:
            await self.app(scope, receive, send)

    def _written(self, scope: Any, page: bytes) -> bytes:
        request = Request(scope)
        head, end, rest = page.partition(b"</head>")
        made = tags(
            from_query(request.url.query), self.root(request).rstrip("/"), request.url.query
        )
        return OLD.sub(b"", head) + made.encode() + end + rest if end else page


def tags(state: State, root: str, query: str) -> str:
    """The tags of a link; `root` is the address of the window."""
    words = next((start.why for start in STARTS if start.state == state), WORDS)
    name = f"{title(state)} · featvis" if query else NAME
    told = {
        "og:title": name,
        "og:type": "website",
        "og:site_name": "featvis",
        "og:description": words,
        "og:url": f"{root}/?{query}" if query else f"{root}/",
        "og:image": f"{root}/{PICTURE.name}",
        "og:image:width": "1200",
        "og:image:height": "630",
        "og:image:alt": "Drawn scenes, and what small networks see in them",
    }
    made = "".join(f'<meta property="{k}" content="{escape(v)}">' for k, v in told.items())
    return (
        f'<title>{escape(name)}</title><meta name="description" content="{escape(words)}">{made}'
        '<meta name="twitter:card" content="summary_large_image">'
    )
