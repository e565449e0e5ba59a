"""MCP: the tools that agents see, and the example of the API's page as it stands there."""

from __future__ import annotations

import base64
import gc
import io
import json
import re
import warnings
from importlib.util import find_spec
from pathlib import Path

import PIL.Image
import pytest

import app.web.serve
from app.cli import commands
from app.files import save
from app.question.state import from_query
from app.web import api
from tests.support.loops import apart, awaited

PAGE = Path(__file__).parents[3] / "docs" / "api.md"
LINK = "?tab=Class+evidence&m=bundled:scenes-resnet&method=cam&img=scene-2"
pytestmark = pytest.mark.filterwarnings("ignore")  # of Gradio and its client
needed = pytest.mark.skipif(find_spec("mcp") is None, reason="the extra mcp is not installed")


@pytest.fixture(scope="module")
def server():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        blocks, url = app.web.serve.launch(mcp_server=True)
        yield url.rstrip("/")
        blocks.close()
        gc.collect()  # Gradio leaves an event loop and its sockets to the collector, which warns


async def asked(server, ask):
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    link = streamablehttp_client(f"{server}/gradio_api/mcp/")
    async with link as (read, write, _), ClientSession(read, write) as session:
        await session.initialize()
        return await ask(session)


def test_without_the_extra_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(app.web.serve, "find_spec", lambda name: None)
    assert commands.main(["serve", "--mcp"]) == 2
    error = capsys.readouterr().err
    assert "pip install 'gradio[mcp]'" in error
    assert len(error.splitlines()) == 1


@needed
def test_every_function_is_a_tool_that_says_what_it_takes(server):
    tools = awaited(asked(server, lambda session: session.list_tools())).tools
    named = {tool.name: tool for tool in tools}
    assert set(named) == {
        *(function.__name__ for function in api.ENDPOINTS),
        "picture",
        "upload",
        "delete",
    }
    for name, tool in named.items():
        assert len(tool.description) > 30, name
        for argument, told in tool.inputSchema["properties"].items():
            assert told["description"], (name, argument)
    assert "data: URL" in json.dumps(named["upload"].inputSchema)


@needed
def test_an_agent_uploads_a_picture_and_sees_a_map_on_it(server):
    data = io.BytesIO()
    PIL.Image.new("RGB", (60, 40), (90, 160, 60)).save(data, "PNG")
    url = "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()

    async def ask(session):
        name = (await session.call_tool("upload", {"picture": url})).content[0].text
        link = LINK.replace("scene-2", name)
        seen = await session.call_tool("picture", {"link": link})
        wrong = await session.call_tool("run", {"method": "camera"})
        inside = await session.call_tool("upload", {"picture": f"{server}/gradio_api/info"})
        return link, seen.content[0], wrong, inside

    link, seen, wrong, inside = awaited(asked(server, ask))
    assert seen.type == "image"
    with PIL.Image.open(io.BytesIO(base64.b64decode(seen.data))) as picture:
        wanted = PIL.Image.open(io.BytesIO(save.picture(from_query(link))[0]))
        assert picture.convert("RGB").tobytes() == wanted.convert("RGB").tobytes()
    assert wrong.isError or "no method" in wrong.content[0].text
    assert "is no picture" in inside.content[0].text  # nothing is fetched


@needed
def test_the_example_of_the_page_runs(server, capsys):
    text = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf8"), re.S)[1]
    apart(exec, text.replace("http://127.0.0.1:7860", server), {})
    told = capsys.readouterr().out
    assert "'picture'" in told
    assert "image image/png" in told
    config = json.loads(re.findall(r"```json\n(.*?)```", PAGE.read_text("utf8"), re.S)[0])
    assert config["mcpServers"]["featvis"]["url"].endswith("/gradio_api/mcp/")
