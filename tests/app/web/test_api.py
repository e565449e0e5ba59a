"""The API: every endpoint over the network, and the examples of its page as they stand there."""

from __future__ import annotations

import gc
import re
import shutil
import subprocess
import threading
import time
import warnings
from pathlib import Path

import httpx
import numpy as np
import PIL.Image
import pytest

import zoo_adapters
from app.answers.ask import ask_of
from app.answers.run import run
from app.files import save
from app.machine.cache import model_of
from app.question.state import State, from_query
from app.web import api
from featvis import METHODS
from featvis.progress import tick

gradio_client = pytest.importorskip("gradio_client")
NAMES = zoo_adapters.names("bundled")
pytestmark = pytest.mark.filterwarnings("ignore")  # of Gradio and its client
PAGE = Path(__file__).parents[3] / "docs" / "api.md"
MODEL = "bundled:scenes-resnet"


@pytest.fixture(scope="module")
def server():
    from app.web.serve import launch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        blocks, url = launch()
        yield url
        blocks.close()
        gc.collect()  # Gradio leaves an event loop and its sockets to the collector, which warns


@pytest.fixture(scope="module")
def client(server):
    made = gradio_client.Client(server, verbose=False)
    yield made
    made.close()


def test_every_function_is_an_endpoint_with_its_own_arguments(client):
    told = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    for function in api.ENDPOINTS:
        names = [p["parameter_name"] for p in told[f"/{function.__name__}"]["parameters"]]
        assert names == list(function.__code__.co_varnames[: function.__code__.co_argcount])
    own = {f"/{function.__name__}" for function in api.ENDPOINTS}
    assert set(told) == {*own, "/picture", "/upload", "/delete"}


def test_all_methods_are_listed_with_what_they_take(client):
    told = {one["name"]: one for one in client.predict(api_name="/methods")}
    assert list(told) == list(METHODS)
    assert "seed" in told["smoothgrad"]["parameters"]
    assert told["cam"]["needs"] == ["model", "image"]


def test_a_link_is_seen_as_the_window_saves_it(client):
    link = f"?tab=Class+evidence&m={MODEL}&method=cam&img=scene-2"
    for given in (link, f"https://example.org/app/{link}"):
        path = client.predict(link=given, api_name="/picture")
        assert Path(path).read_bytes() == save.picture(from_query(link))[0]


def test_run_gives_what_the_window_shows(client, server):
    made = client.predict(method="cam", image="scene-2", target="lighthouse", api_name="/run")
    alone = run(ask_of("cam", State(model=MODEL, image="scene-2")))
    assert made["score"] == [pytest.approx(float(alone.result.score[0]))]
    assert made["residual"][0] < 1e-4
    assert made["target"] == "lighthouse"
    with np.load(_fetched(server, made["npz"])) as arrays:
        assert np.array_equal(arrays["cam.values"], alone.result.values.numpy())
    assert from_query(made["link"]).image == "scene-2"
    assert made["recipe"]["calls"][0]["method"] == "cam"


def _fetched(server, address):
    import io
    from urllib.request import urlopen

    with urlopen(server.rstrip("/") + "/" + address) as answer:
        return io.BytesIO(answer.read())


def test_a_neuron_and_parameters_are_asked_for(client):
    made = client.predict(
        method="smoothgrad", layer="layer2", channel=3, position="2,5",
        parameters='{"samples": 3, "seed": 7}', api_name="/run",
    )  # fmt: skip
    call = made["recipe"]["calls"][0]
    assert call["params"]["samples"] == 3
    assert call["params"]["seed"] == 7
    assert (call["layer"], call["channel"], call["position"]) == ("layer2", 3, [2, 5])


def test_layers_and_models_are_listed(client):
    layers = client.predict(model=MODEL, api_name="/layers")
    model = model_of(MODEL)
    assert [layer["name"] for layer in layers] == list(model.layers)
    assert client.predict(zoo="bundled", search="vit", api_name="/models") == ["bundled:scenes-vit"]


def test_networks_are_compared(client):
    made = client.predict(models=NAMES[:2], methods="saliency", api_name="/compare")
    assert [row["model"] for row in made["rows"]] == NAMES[:2]
    assert made["agreement"]["Saliency"]["correlation"][0][0] == pytest.approx(1)


WRONG = [
    ("/run", {"method": "camera"}, "no method"),
    ("/run", {"method": "cam", "model": "resnet50"}, "timm:resnet50"),
    ("/run", {"method": "cam", "image": "../../etc/passwd"}, "no picture"),
    ("/run", {"method": "cam", "target": "no such label"}, "no such label"),
    ("/run", {"method": "saliency", "position": "x"}, "position"),
    ("/run", {"method": "saliency", "layer": "no.layer", "channel": 1}, "no layer"),
    ("/run", {"method": "saliency", "layer": "layer1", "channel": 10**6}, "channels go from"),
    ("/run", {"method": "smoothgrad", "parameters": "{"}, "JSON"),
    ("/run", {"method": "smoothgrad", "parameters": '{"samples": 10000000}'}, "samples"),
    ("/run", {"method": "smoothgrad", "parameters": '{"seed": [1]}'}, "seed is a whole number"),
    ("/layers", {"model": "timm:"}, "names no model"),
    ("/compare", {"models": [MODEL]}, "two to 6"),
    ("/compare", {"models": [MODEL, NAMES[0]], "methods": "camera"}, "there is no method 'camera'"),
    ("/channel", {"model": MODEL, "layer": "no.layer", "channel": 0}, "no layer"),
    ("/upload", {"picture": "/etc/passwd"}, "no picture"),
    ("/upload", {"picture": {"path": "/etc/passwd"}}, "400"),
]


@pytest.mark.parametrize(("name", "given", "said"), WRONG)
def test_a_wrong_call_is_answered_with_a_sentence(client, name, given, said):
    with pytest.raises(Exception, match=re.escape(said)) as error:
        client.predict(**given, api_name=name)
    assert "Traceback" not in str(error.value)


def test_the_python_example_of_the_page_runs(server, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    PIL.Image.new("RGB", (60, 40), (90, 160, 60)).save("cat.png")
    text = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf8"), re.S)[0]
    exec(text.replace("http://127.0.0.1:7860", server.rstrip("/")), {})
    assert "gradio_api/file=" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_the_curl_example_of_the_page_runs(server):
    text = re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf8"), re.S)[0]
    script = text.replace("http://127.0.0.1:7860", server.rstrip("/"))
    told = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert "lighthouse" in told.stdout
    assert "event: complete" in told.stdout


@pytest.mark.parametrize("how", ["event", "session"])
def test_a_call_whose_caller_is_gone_stops(server, client, monkeypatch, how):
    begun, stopped, whole = threading.Event(), threading.Event(), []

    def run(ask, on_step=None):
        try:
            for step in range(4000):
                tick(step, 4000)
                begun.set()
                time.sleep(0.005)
            whole.append(ask)
        finally:
            stopped.set()

    monkeypatch.setattr("app.web.api.run_ask", run)
    given, base = ["saliency", MODEL, "scene-24", "", "", -1, "", "{}"], f"{server}gradio_api"
    if how == "event":  # as curl does
        event = httpx.post(f"{base}/call/run", json={"data": given}).json()["event_id"]
        stream = f"{base}/call/run/{event}"
    else:  # as the clients do
        (number,) = (n for n, point in client.endpoints.items() if point.api_name == "/run")
        asked = {"data": given, "fn_index": number, "session_hash": "s1"}
        httpx.post(f"{base}/queue/join", json=asked).raise_for_status()
        stream = f"{base}/queue/data?session_hash=s1"
    assert begun.wait(20)
    with pytest.raises(httpx.ReadTimeout):  # it has heard enough
        httpx.get(stream, timeout=1)
    assert stopped.wait(15)
    assert not whole
