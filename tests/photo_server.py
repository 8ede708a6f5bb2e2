"""A real server of a fake model, in a process of its own: `with photo_server() as server`.

As a program: `python tests/photo_server.py JSON` serves with these limits. hold_s: seconds of a batch; fails: the
model raises an error; token: as the option.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from project import PROJECT_DIR

from maskcls.results.photo_model import Photo

TOKEN = "a-token-of-24-characters"


@dataclass(frozen=True)
class PhotoServer:
    """A server that listens."""

    url: str
    process: subprocess.Popen[str]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@contextmanager
def photo_server(**settings: Any) -> Iterator[PhotoServer]:
    """Yield a server with these settings, see above. It is killed at the end if it still runs."""
    env = os.environ | {"PYTHONPATH": f"{PROJECT_DIR}:{PROJECT_DIR / 'tests'}"}
    command = [sys.executable, __file__, json.dumps(settings)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        found = re.search(r"http://\S+", first)
        assert found, first + process.stdout.read()
        yield PhotoServer(found[0], process)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def main() -> None:
    """Serve until a signal."""
    from fake_photo_model import FakePhotoModel

    from maskcls.serve.app import build_app
    from maskcls.serve.guard import AccessRules
    from maskcls.serve.limits import ServerLimits
    from maskcls.serve.listening import bind, listen, url_of
    from maskcls.serve.metrics import ServerMetrics
    from maskcls.serve.service import PhotoService
    from maskcls.show.pages.upload import upload_page

    settings = json.loads(sys.argv[1])
    token, hold_s, fails = settings.pop("token", None), settings.pop("hold_s", 0), settings.pop("fails", False)
    limits, bound = ServerLimits(**settings), bind("127.0.0.1", 0)

    class Slow(FakePhotoModel):
        def predict(self, photos: list[Photo]) -> Any:
            assert not fails, "a fault to be seen"
            time.sleep(hold_s if photos[0].shape[0] != 64 else 0)  # the warm-up's photo has 64 pixels
            return super().predict(photos)

    service = PhotoService(Slow(), limits, ServerMetrics(), decide=False)
    page = upload_page(max_photos=limits.max_photos, max_megabytes=limits.max_megabytes, needs_token=token is not None)
    app = build_app(service, AccessRules(token, loopback=True), page=page, about={"hash": service.hash})

    def say() -> None:
        print(f"listening on {url_of(bound)}", flush=True)

    listen(app, bound, limits, on_start=say, on_stop=service.begin_stop, failure=lambda: service.failure)
    print("stopped", flush=True)


if __name__ == "__main__":
    main()
