"""Pictures in MCP: what a tool answers with is a file of this server by its key, and is shown."""

from __future__ import annotations

import io
from typing import Any

import PIL.Image

from ..machine import disk

META = {"_type": "gradio.FileData"}  # by which Gradio knows a file


def join(blocks: Any) -> None:
    """Let the MCP server of `blocks`, if there is one, open files by their keys alone."""
    server = getattr(blocks, "mcp_server_obj", None)
    if server is None:
        return
    content = server.postprocess_output_data

    def shown(data: Any, root: str) -> Any:
        return content([_marked(one) for one in data], root)

    server.postprocess_output_data, server.get_image = shown, _opened


def _marked(value: Any) -> Any:
    """A file of this server as Gradio's MCP server knows one."""
    path = value.get("path") if isinstance(value, dict) else None
    if not isinstance(path, str) or disk.file_at(path) is None:
        return value
    return {**value, "url": f"/gradio_api/file={path}", "meta": META}


def _opened(key: str) -> PIL.Image.Image | None:
    data = disk.file_bytes(key)
    return PIL.Image.open(io.BytesIO(data)) if data else None
