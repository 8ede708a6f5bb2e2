"""A missing extra is one message with the command that installs it; the extras are those of pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from typing import get_args

import pytest
from project import PROJECT_DIR

from maskcls.config import installed_extras
from maskcls.config.installed_extras import PACKAGES, ExtraName, check_extra
from maskcls.errors import Exit, ResourceError

IMPORTED_AS = {
    "fonttools": "fontTools",
    "python-multipart": "python_multipart",
    "prometheus-client": "prometheus_client",
    "psycopg[binary]": "psycopg",
}


def extras() -> dict[str, list[str]]:
    return tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def without(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    monkeypatch.setattr(installed_extras, "find_spec", lambda name: None if name in missing else name)


@pytest.mark.parametrize("extra", get_args(ExtraName))
def test_a_missing_extra_is_one_message_with_the_command(extra: ExtraName, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch)
    check_extra(extra, needed_by="maskcls verb")
    without(monkeypatch, *PACKAGES[extra])
    with pytest.raises(ResourceError) as caught:
        check_extra(extra, needed_by="maskcls verb")
    names = " and ".join(PACKAGES[extra])
    verb = "is" if len(PACKAGES[extra]) == 1 else "are"
    assert caught.value.lines() == [
        f"error[resource] {names} {verb} not installed",
        "  where: maskcls verb",
        f"  fix: pip install 'maskcls[{extra}]'",
    ]
    assert caught.value.exit_code == Exit.RESOURCE


def test_only_the_named_packages_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "onnx", "onnxscript")
    check_extra("export", needed_by="model.onnx", packages=("onnxruntime",))
    with pytest.raises(ResourceError, match=r"^error.resource. onnx is not installed"):
        check_extra("export", needed_by="model.onnx", packages=("onnxruntime", "onnx"))


def test_the_packages_are_those_of_the_extras() -> None:
    for extra, packages in PACKAGES.items():
        names = [re.split(r"[<>=]", text)[0] for text in extras()[extra]]
        assert sorted(packages) == sorted(IMPORTED_AS.get(name, name) for name in names)
    assert set(PACKAGES) == set(get_args(ExtraName))


def test_all_and_track_name_every_extra_but_the_tools() -> None:
    parts = {name: set(text[0].removeprefix("maskcls[").rstrip("]").split(",")) for name, text in extras().items()}
    assert parts["track"] == {"mlflow", "tensorboard", "wandb"}
    assert parts["all"] == set(PACKAGES) | {"track"}
    assert set(extras()) == set(PACKAGES) | parts["track"] | {"all", "dev", "track"}
