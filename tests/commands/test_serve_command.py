"""The verb `serve`: its options arrive, packages that are missing are named, and what /model says."""

from __future__ import annotations

import http.client
import importlib.util
import json
import re
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from asgi_calls import FORM, form
from fake_photo_model import FakePhotoModel
from finished_run import finish_run
from processes import PATIENCE_S
from tiny import train

from maskcls.cli import run_app
from maskcls.commands import serve as command
from maskcls.config import installed_extras
from maskcls.data.photos.images import read_image
from maskcls.errors import Exit
from maskcls.export.open_model import open_model
from maskcls.runs.summary import read_summary
from maskcls.serve.answers import model_hash
from maskcls.serve.limits import ServerLimits
from maskcls.show.pages.upload import upload_page
from maskcls.show.terminal.progress import Reporter

TOKEN = "a-token-of-24-characters"


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what the command was called with."""
    found: dict[str, Any] = {}

    def note(path: Path, **options: Any) -> command.Served:
        found.update(options, path=path)
        return command.Served("http://127.0.0.1:1", 12, 34)

    monkeypatch.setattr(command, "serve", note)
    return found


def test_without_options_the_server_is_of_this_machine_alone(
    given: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["serve", "runs/a"]) == Exit.OK
    given.pop("report")
    assert given == {
        "path": Path("runs/a"),
        "host": "127.0.0.1",
        "port": 8000,
        "limits": ServerLimits(),  # the defaults of the options are those of the limits
        "token": None,
        "decide": False,
        "overrides": [],
    }
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "stopped: 12 requests answered, 34 photos predicted\n"


def test_every_option_arrives(given: dict[str, Any]) -> None:
    words = "serve m.onnx --host 0.0.0.0 --port 81 --decide --max-photos 2 --max-megabytes 3 --max-pixels 4 --batch 5"
    words += f" --wait-ms 6.5 --queue 7 --token {TOKEN} predict.views=none device.threads=1"
    assert run_app(words.split()) == Exit.OK
    assert (given["path"], given["host"], given["port"]) == (Path("m.onnx"), "0.0.0.0", 81)
    assert given["limits"] == ServerLimits(2, 3, 4, 5, 6.5, 7)
    assert (given["decide"], given["token"]) == (True, TOKEN)
    assert given["overrides"] == ["predict.views=none", "device.threads=1"]


def test_the_token_is_read_from_the_environment(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKCLS_TOKEN", TOKEN)
    assert run_app(["serve", "runs/a"]) == Exit.OK
    assert given["token"] == TOKEN


def test_an_empty_token_in_the_environment_is_refused(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MASKCLS_TOKEN", "")
    assert run_app(["serve", "runs/a"]) == Exit.USAGE
    assert "got: 0 characters" in capsys.readouterr().err
    assert given == {}


WRONG = (["--port", "65536"], ["--batch", "0"], ["--queue", "31"], ["--token", "short"], ["--wait-ms", "inf"])


@pytest.mark.parametrize("words", WRONG)
def test_wrong_options_start_nothing(given: dict[str, Any], words: list[str]) -> None:
    assert run_app(["serve", "runs/a", *words]) == Exit.USAGE
    assert given == {}


def test_missing_packages_are_named_with_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    present = importlib.util.find_spec
    missing = {"uvicorn", "python_multipart"}
    monkeypatch.setattr(installed_extras, "find_spec", lambda name: None if name in missing else present(name))
    assert run_app(["serve", "runs/a"]) == Exit.RESOURCE
    assert capsys.readouterr().err.splitlines() == [
        "error[resource] python_multipart and uvicorn are not installed",
        "  where: maskcls serve",
        "  fix: pip install 'maskcls[serve]'",
    ]


def test_an_open_server_is_warned_of_and_the_model_is_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finish_run(tmp_path / "run")
    abouts: list[dict[str, Any]] = []
    opened: list[tuple[Any, ...]] = []
    build_app = command.build_app

    def noted(service: Any, rules: Any, *, page: str, about: dict[str, Any]) -> Any:
        abouts.append(about)
        return build_app(service, rules, page=page, about=about)

    def model(*words: Any, **options: Any) -> FakePhotoModel:
        opened.append((*words, options["decide"]))
        return FakePhotoModel()

    monkeypatch.setattr(command, "open_model", model)
    monkeypatch.setattr(command, "build_app", noted)
    monkeypatch.setattr(command, "listen", lambda *_, on_start, **__: on_start())
    for loopback, token in ((True, None), (False, None), (False, TOKEN)):
        monkeypatch.setattr(command, "is_loopback", lambda _, loopback=loopback: loopback)
        with Reporter() as report:
            found = command.serve(
                run.path, host="127.0.0.1", port=0, limits=ServerLimits(), token=token, decide=True,
                overrides=["predict.views=none"], report=report,
            )  # fmt: skip
        assert (found.requests, found.photos) == (0, 0)
        err = capsys.readouterr().err
        assert f"listening on {found.url}" in err
        assert ("warning: everybody" in err) == (not loopback and token is None)
    assert opened == [(run.path, ["predict.views=none"], True)] * 3
    summary = read_summary(run)
    assert summary is not None
    assert summary.pooled is not None
    about = abouts[0]
    assert about["scores"]["macro_f1"] == summary.pooled.macro_f1
    assert about["scores"]["tasks"].keys() == {"mask", "gender", "age"}
    assert about["tasks"][0] == {"name": "mask", "classes": ["wear", "incorrect", "normal"]}
    assert about["limits"]["max_photos"] == 32
    assert about["origin"]["run"] == "fake"
    assert about["decide"] is True


def test_address_limits_token_and_rule_are_those_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bound, parts = socket.socket(), dict[str, Any]()
    bound.bind(("127.0.0.1", 0))

    def bind(host: str, port: int) -> socket.socket:
        parts.update(host=host, port=port)
        return bound

    def app(service: Any, rules: Any, *, page: str, about: dict[str, Any]) -> None:
        parts.update(service=service, rules=rules, page=page, about=about)

    monkeypatch.setattr(command, "bind", bind)
    monkeypatch.setattr(command, "build_app", app)
    monkeypatch.setattr(command, "open_model", lambda *_, **__: FakePhotoModel())
    monkeypatch.setattr(command, "listen", lambda *words, **__: parts.update(listened=words))
    limits = ServerLimits(8, 3, 4, 5, 6.5, 9)
    with Reporter(quiet=True) as report:
        command.serve(tmp_path, host="h", port=81, limits=limits, token=TOKEN, decide=True, report=report)
    assert (parts["host"], parts["port"], parts["listened"]) == ("h", 81, (None, bound, limits))
    assert (parts["rules"].token, parts["rules"].loopback) == (TOKEN, True)
    assert parts["service"].limits == limits
    assert parts["about"]["hash"] == parts["service"].hash == model_hash(FakePhotoModel(), decide=True)
    assert parts["page"] == upload_page(max_photos=8, max_megabytes=3, needs_token=True)


def test_a_model_without_a_run_has_no_scores(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"")
    assert command.summary_scores(tmp_path / "model.onnx") is None
    assert command.summary_scores(finish_run(tmp_path / "leaky", leaky=True).path) is None


@pytest.mark.slow
def test_a_served_run_predicts_as_its_model_does(drawn: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, "model.backbone=test_convnext", "train.epochs=1") == 0
    paths = sorted((drawn / "eval" / "images").iterdir())[:5]
    with Reporter(quiet=True) as report:
        model = open_model(run, report=report)
    prob_NJ = model.predict([read_image(path, at_least=model.decode_size) for path in paths])
    process = subprocess.Popen(
        [sys.executable, "-m", "maskcls", "serve", str(run), "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        found = next(filter(None, (re.search(r"http://127.0.0.1:(\d+)", line) for line in process.stderr)))
        with closing(http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=PATIENCE_S)) as connection:
            body = form(*((path.name, path.read_bytes()) for path in paths))
            connection.request("POST", "/predict", body, {"Content-Type": FORM})
            photos = json.loads(connection.getresponse().read())["photos"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        assert process.stderr.read().endswith("stopped: 1 requests answered, 5 photos predicted\n")
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
    assert [photo["name"] for photo in photos] == [path.name for path in paths]
    for row, photo in enumerate(photos):
        assert photo["joint"]["index"] == prob_NJ[row].argmax()
        for name, prob_NC in model.space.marginals(prob_NJ).items():
            assert list(photo["tasks"][name]["probabilities"].values()) == pytest.approx(prob_NC[row], abs=1e-5)
