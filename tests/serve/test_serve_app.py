"""The server in this process: routes, statuses, limits, metrics, headers, and that nothing is written to disk."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import struct
import sys
import tempfile
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from asgi_calls import FORM, Answered, call, form, running
from fake_photo_model import SURE, FakePhotoModel, png
from starlette.requests import ClientDisconnect, Request

from maskcls.labels import CONTEST
from maskcls.serve import refusals
from maskcls.serve.answers import model_hash
from maskcls.serve.app import REFUSALS, build_app
from maskcls.serve.guard import HEADERS, AccessRules
from maskcls.serve.limits import ServerLimits
from maskcls.serve.metrics import ServerMetrics
from maskcls.serve.service import PhotoService, unless_gone

LIMITS = ServerLimits(max_photos=4, max_megabytes=3, max_pixels=5000, batch=4, wait_ms=0, queue=6)
OPEN_RULES = AccessRules(token=None, loopback=True)
TOKEN = "a-token-of-24-characters"
Ask = Callable[..., Awaitable[Answered]]


def served(
    work: Callable[[Ask, PhotoService], Awaitable[None]],
    model: FakePhotoModel | None = None,
    limits: ServerLimits = LIMITS,
    rules: AccessRules = OPEN_RULES,
    *,
    warm: bool = True,
) -> None:
    """Run `work(ask, service)` against a started server."""

    async def within() -> None:
        service = PhotoService(model or FakePhotoModel(), limits, ServerMetrics(), decide=False)
        app = build_app(service, rules, page="<p>page</p>", about={"hash": service.hash})

        async def ask(path: str, *parts: bytes, **options: Any) -> Answered:
            return await call(app, path, parts, **options)

        async with running(app):
            while warm and not service.ready:
                await asyncio.sleep(0.001)
            await work(ask, service)

    asyncio.run(within())


def test_photos_of_a_form_are_answered_in_order() -> None:
    async def work(ask: Ask, service: PhotoService) -> None:
        names = ["a.png", "broken.png", "c.png"]
        answered = await ask("/predict", form(*zip(names, [png(7), b"none", png(0)], strict=True)), kind=FORM)
        assert answered.status == 200
        assert answered.headers["content-type"] == "application/json"
        found = answered.json
        assert found.keys() == {"version", "model", "photos"}
        assert (found["version"], found["model"]) == (1, service.hash)
        assert [photo["name"] for photo in found["photos"]] == names
        first, broken, third = found["photos"]
        assert broken == {"name": "broken.png", "error": "not an image: text"}
        assert third["joint"] == {"class": CONTEST.joint_names[0], "index": 0, "probability": SURE}
        assert first["joint"]["index"] == 7
        # 7 = 6 * 1 + 3 * 0 + 1: incorrect, male, 30 to 59; each other joint class has 0.01.
        shares = {"mask": (1, 3, 0.01 * 5), "gender": (0, 2, 0.01 * 8), "age": (1, 3, 0.01 * 5)}
        for name, (index, classes, others) in shares.items():
            task = first["tasks"][name]
            names_of = CONTEST.task(name).classes
            assert task["class"] == names_of[index]
            assert list(task["probabilities"]) == list(names_of)
            assert task["probabilities"][names_of[index]] == pytest.approx(SURE + others, abs=1e-5)
            assert sum(task["probabilities"].values()) == pytest.approx(1, abs=1e-5)
            assert len(names_of) == classes

    served(work)


def test_one_image_and_json_are_answered_too() -> None:
    async def work(ask: Ask, _: PhotoService) -> None:
        image = await ask("/predict", png(3), kind="image/png")
        assert (image.status, image.json["photos"][0]["name"]) == (200, "photo 1")
        data = [{"name": "x", "data": base64.b64encode(png(joint)).decode()} for joint in (4, 5)]
        found = await ask("/predict", json.dumps({"photos": data}).encode(), kind="application/json")
        assert [photo["joint"]["index"] for photo in found.json["photos"]] == [4, 5]

    served(work)


def test_a_request_without_a_readable_photo_has_its_own_status() -> None:
    async def work(ask: Ask, _: PhotoService) -> None:
        answered = await ask("/predict", form(("a", b"none"), ("b", b"")), kind=FORM)
        assert answered.status == 422
        errors = [photo["error"] for photo in answered.json["photos"]]
        assert errors == ["not an image: text", "empty file (0 bytes)"]

    served(work)


def test_the_task_classes_are_those_of_the_decided_joint_class() -> None:
    class Decider(FakePhotoModel):
        def decide(self, prob_NJ: Any) -> Any:
            return super().decide(prob_NJ) * 0 + 17

    async def work(ask: Ask, _: PhotoService) -> None:
        photo = (await ask("/predict", png(0), kind="image/png")).json["photos"][0]
        assert photo["joint"] == {"class": CONTEST.joint_names[17], "index": 17, "probability": 0.01}
        assert "/".join(task["class"] for task in photo["tasks"].values()) == CONTEST.joint_names[17]

    served(work, Decider())


def png_of_size(width: int, height: int) -> bytes:
    """Return a PNG that says it has this size, and ends where its pixels begin."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = struct.pack(">I", 1000) + b"IDAT"
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)) + pixels


def test_large_photos_are_refused_by_their_header() -> None:
    async def work(ask: Ask, _: PhotoService) -> None:
        fits, large, bomb = png(1, side=70), png(1, side=71), png_of_size(60_000, 60_000)
        answered = await ask("/predict", form(("a", fits), ("b", large), ("c", bomb)), kind=FORM)
        photos = answered.json["photos"]
        assert photos[0]["joint"]["index"] == 1
        assert photos[1]["error"] == "the image is too large (71 x 71 pixels)"
        assert photos[2]["error"].startswith("the image is too large")

    served(work)


@pytest.mark.parametrize(
    ("parts", "options", "status"),
    [
        ([b"x" * 10], {"kind": "image/png", "length": 3_000_001}, 413),
        ([bytes(2_000_000), bytes(1_000_001)], {"kind": "image/png"}, 413),
        ([form(*[("a", b"x")] * 5)], {"kind": FORM}, 413),
        ([b"x"], {"kind": "text/plain"}, 415),
        ([b"x"], {"kind": FORM}, 400),
        ([], {"kind": "image/png", "length": 0}, 400),
        ([b"x"], {"kind": "image/png", "length": 1, "method": "PUT"}, 405),
    ],
)
def test_limits_have_their_statuses(parts: list[bytes], options: dict[str, Any], status: int) -> None:
    async def work(ask: Ask, service: PhotoService) -> None:
        answered = await ask("/predict", *parts, **options)
        assert answered.status == status
        assert answered.json["error"]["what"]
        assert answered.headers["connection"] == "close"
        assert (service.bodies.held, service.accepted) == (0, 0)

    served(work)


def test_a_slow_client_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "LINGER_S", 0.01)

    async def work(_: Ask, service: PhotoService) -> None:
        async def silent() -> bytes:
            await asyncio.sleep(60)
            return b""

        app = build_app(service, OPEN_RULES, page="", about={})
        assert (await call(app, "/predict", silent, kind="image/png")).status == 408

    served(work, limits=replace(LIMITS, idle_s=0.01))


def test_a_client_that_is_gone_is_no_error() -> None:
    async def work(_: Ask, service: PhotoService) -> None:
        parts: list[bytes | None] = [b"x", None]

        async def next_part() -> bytes | None:
            return parts.pop(0)

        app = build_app(service, OPEN_RULES, page="", about={})
        assert (await call(app, "/predict", next_part, kind="image/png")).status == 499
        assert service.bodies.held == 0

    served(work)


def test_the_photos_of_a_client_that_is_gone_leave_the_queue() -> None:
    async def work() -> None:
        async def goes() -> dict[str, object]:
            return {"type": "http.disconnect"}

        predicting = asyncio.ensure_future(asyncio.sleep(60))
        with pytest.raises(ClientDisconnect):
            await unless_gone(Request({"type": "http", "headers": []}, goes), predicting)
        await asyncio.sleep(0)
        assert predicting.cancelled()

    asyncio.run(work())


def test_a_full_queue_is_answered_with_a_time_to_come_back() -> None:
    model = FakePhotoModel()

    async def work(ask: Ask, service: PhotoService) -> None:
        model.go.clear()
        four = form(*[("a", png(1))] * 4)
        first = asyncio.create_task(ask("/predict", four, kind=FORM))
        while service.accepted < 4:
            await asyncio.sleep(0.001)
        service.batcher.seconds_per_photo = 3.0
        refused = await ask("/predict", four, kind=FORM)
        assert refused.status == 503
        assert refused.headers["retry-after"] == "12"  # four photos of three seconds
        model.go.set()
        assert (await first).status == 200
        assert (await ask("/predict", four, kind=FORM)).status == 200

    served(work, model)


def test_many_requests_side_by_side_get_their_own_answers() -> None:
    async def work(ask: Ask, _: PhotoService) -> None:
        wanted = [[(5 * request + place) % 18 for place in range(1 + request % 4)] for request in range(40)]
        bodies = [form(*((f"{joint}", png(joint)) for joint in joints)) for joints in wanted]
        answers = await asyncio.gather(*(ask("/predict", body, kind=FORM) for body in bodies))
        found = [[photo["joint"]["index"] for photo in one.json["photos"]] for one in answers]
        assert found == wanted

    served(work, limits=replace(LIMITS, queue=1000))


def test_a_fault_of_the_model_is_an_answer_and_the_server_goes_on() -> None:
    model = FakePhotoModel()

    async def work(ask: Ask, service: PhotoService) -> None:
        model.error = ZeroDivisionError("a bug to be seen")
        failed = await ask("/predict", form(*[("a", png(1))] * 3), kind=FORM)
        assert (failed.status, failed.json["error"]["what"]) == (500, "the server failed; its log says why")
        model.error = None
        assert (await ask("/predict", png(1), kind="image/png")).status == 200
        text = service.metrics.text().decode()
        assert 'maskcls_requests_total{route="/predict",status="500"} 1.0' in text
        assert service.accepted == service.bodies.held == 0

    served(work, model)


def test_ready_is_after_the_warm_up_and_before_the_stop() -> None:
    model = FakePhotoModel()
    model.go.clear()

    async def work(ask: Ask, service: PhotoService) -> None:
        assert (await ask("/health")).status == 200
        assert ((await ask("/ready")).status, (await ask("/ready")).json) == (503, {"ready": False})
        early = asyncio.create_task(ask("/predict", png(2), kind="image/png"))
        model.go.set()
        assert (await early).status == 200
        assert ((await ask("/ready")).status, (await ask("/ready")).json) == (200, {"ready": True})
        service.begin_stop()
        assert (await ask("/ready")).status == 503
        assert (await ask("/health")).status == 200
        assert (await ask("/predict", png(2), kind="image/png")).status == 200

    served(work, model, warm=False)


def test_metrics_count_what_happened() -> None:
    async def work(ask: Ask, _: PhotoService) -> None:
        body = form(("a", png(1)), ("b", b"none"))
        await ask("/predict", body, kind=FORM)
        await ask("/predict", png(1), kind="image/png")
        await ask("/predict", b"x", kind="text/plain")
        await ask("/some/path")
        answered = await ask("/metrics")
        assert answered.headers["content-type"].startswith("text/plain; version=")
        values = dict(re.findall(r"^(\w+(?:\{[^}]*\})?) (\S+)$", answered.body.decode(), re.M))
        wanted = {
            'maskcls_requests_total{route="/predict",status="200"}': 2,
            'maskcls_requests_total{route="/predict",status="415"}': 1,
            'maskcls_requests_total{route="other",status="404"}': 1,
            'maskcls_photos_total{result="predicted"}': 2,
            'maskcls_photos_total{result="unreadable"}': 1,
            "maskcls_body_bytes_total": len(body) + len(png(1)) + 1,
            "maskcls_batch_photos_count": 2,
            "maskcls_batch_photos_sum": 2,
            "maskcls_batch_seconds_count": 2,
            "maskcls_decode_seconds_count": 3,
            'maskcls_request_seconds_count{route="/predict"}': 3,
            "maskcls_queue_photos": 0,
            "maskcls_bodies_held_bytes": 0,
        }
        assert {name: float(values[name]) for name in wanted} == wanted
        assert float(values["process_resident_memory_bytes"]) > 0

    served(work)


def test_the_queue_is_seen_while_the_model_works() -> None:
    model = FakePhotoModel()

    async def work(ask: Ask, service: PhotoService) -> None:
        model.go.clear()
        first = asyncio.create_task(ask("/predict", png(1), kind="image/png"))
        while not service.accepted:
            await asyncio.sleep(0.001)
        text = (await ask("/metrics")).body.decode()
        assert "\nmaskcls_queue_photos 1.0\n" in text
        assert f"\nmaskcls_bodies_held_bytes {float(len(png(1)))}\n" in text
        model.go.set()
        await first

    served(work, model)


@pytest.mark.parametrize(("given", "status"), [({}, 401), ({"authorization": f"Bearer {TOKEN[:-1]}"}, 401)])
@pytest.mark.parametrize("path", ["/predict", "/model", "/metrics", "/openapi.json", "/other"])
def test_a_token_is_asked_for(path: str, given: dict[str, str], status: int) -> None:
    async def work(ask: Ask, service: PhotoService) -> None:
        options = {"kind": "image/png"} if path == "/predict" else {}
        answered = await ask(path, *([png(1)] if options else []), **options, **given)
        assert (answered.status, answered.headers["www-authenticate"]) == (status, "Bearer")
        right = await ask(path, *([png(1)] if options else []), **options, authorization=f"bearer {TOKEN}")
        assert right.status == (404 if path == "/other" else 200)
        for free in ("/", "/health", "/ready"):
            assert (await ask(free)).status == 200

    served(work, rules=AccessRules(TOKEN, loopback=False))


@pytest.mark.parametrize(
    ("rules", "host", "status"),
    [
        (OPEN_RULES, "localhost:8000", 200),
        (OPEN_RULES, "LOCALHOST", 200),
        (OPEN_RULES, "127.0.0.1:8000", 200),
        (OPEN_RULES, "[::1]:8000", 200),
        (OPEN_RULES, "other.example:8000", 421),
        (OPEN_RULES, "localhost.other.example", 421),
        (OPEN_RULES, "localhost@other.example", 421),
        (OPEN_RULES, "[", 421),
        (OPEN_RULES, "", 421),
        (AccessRules(TOKEN, loopback=True), "photos.example", 200),
        (AccessRules(None, loopback=False), "photos.example", 200),
    ],
)
def test_another_host_name_is_refused_on_loopback(rules: AccessRules, host: str, status: int) -> None:
    async def work(ask: Ask, _: PhotoService) -> None:
        assert (await ask("/health", host=host)).status == status

    served(work, rules=rules)


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, 200),
        ({"origin": "http://localhost"}, 200),
        ({"origin": "http://localhost:81"}, 403),
        ({"origin": "https://other.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"sec_fetch_site": "same-origin", "origin": "https://behind-a-proxy.example"}, 200),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
    ],
)
def test_the_page_of_another_site_may_not_post(given: dict[str, str], status: int) -> None:
    async def work(ask: Ask, _: PhotoService) -> None:
        assert (await ask("/predict", png(1), kind="image/png", **given)).status == status

    served(work)


def test_every_answer_has_the_headers_of_a_careful_server() -> None:
    async def work(ask: Ask, _: PhotoService) -> None:
        answers = [await ask(path) for path in ("/", "/health", "/model", "/metrics", "/nothing", "/openapi.json")]
        answers += [await ask("/health", host="other"), await ask("/predict", b"x", kind="text/plain")]
        assert [one.status for one in answers] == [200, 200, 200, 200, 404, 200, 421, 415]
        for one in answers:
            for name in HEADERS.keys() - {"content-security-policy"}:
                assert one.headers[name] == HEADERS[name]
            assert "frame-ancestors 'none'" in one.headers["content-security-policy"]
            assert "access-control-allow-origin" not in one.headers
        assert answers[0].body == b"<p>page</p>"
        assert "default-src" not in answers[0].headers["content-security-policy"]  # the page's own policy says it

    served(work)


def test_the_schema_is_complete_and_its_pages_are_off() -> None:
    async def work(ask: Ask, service: PhotoService) -> None:
        schema = (await ask("/openapi.json")).json
        assert schema["paths"].keys() == {"/predict", "/health", "/ready", "/metrics", "/model"}
        post = schema["paths"]["/predict"]["post"]
        assert post["responses"].keys() == {"200", *map(str, REFUSALS), "422"}
        assert post["requestBody"]["content"].keys() == {"multipart/form-data", "image/*", "application/json"}
        assert schema["components"]["schemas"]["TaskAnswer"]["properties"].keys() == {"class", "probabilities"}
        for path in ("/docs", "/redoc"):  # they load scripts from another host
            assert (await ask(path)).status == 404
        assert (await ask("/model")).json == {"hash": service.hash}

    served(work)


def test_the_hash_of_a_model_is_that_of_what_predicts() -> None:
    class Other(FakePhotoModel):
        more: dict[str, Any]

        @property
        def origin(self) -> dict[str, Any]:
            return {**super().origin, **self.more}

    def hash_with(decide: bool = False, **more: Any) -> str:
        model = Other()
        model.more = more
        return model_hash(model, decide=decide)

    assert len({hash_with(), hash_with(views="hflip"), hash_with(decide=True)}) == 3
    assert hash_with() == hash_with(execution="cpu fp32") == model_hash(FakePhotoModel(), decide=False)


WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
written: list[str] = []
watching = False


def watch(event: str, given: tuple[Any, ...]) -> None:
    """Note files that this process opens for writing."""
    if watching and event == "open" and isinstance(given[2], int) and given[2] & WRITES:
        written.append(str(given[0]))


@contextmanager
def opened_for_writing() -> Iterator[list[str]]:
    """Yield the list of files that are opened for writing within."""
    global watching
    if watch not in hooks:
        sys.addaudithook(watch)  # stays until the process ends
        hooks.append(watch)
    written.clear()
    watching = True
    try:
        yield written
    finally:
        watching = False


hooks: list[Any] = []


def test_nothing_is_written_to_disk(capfd: pytest.CaptureFixture[str]) -> None:
    async def work(ask: Ask, _: PhotoService) -> None:
        large = png(1, side=70) + bytes(2_500_000)
        assert (await ask("/predict", form(("secret name.png", large)), kind=FORM)).status == 200
        assert (await ask("/predict", large, kind="image/png")).status == 200
        assert (await ask("/predict", form(("secret name.png", b"broken")), kind=FORM)).status == 422
        data = base64.b64encode(large[:2_000_000]).decode()
        body = json.dumps({"photos": [{"name": "secret name.png", "data": data}]}).encode()
        assert (await ask("/predict", body, kind="application/json")).status == 200

    with opened_for_writing() as opened:
        served(work)
        assert opened == []
        with tempfile.TemporaryFile():
            assert len(opened) >= 1  # the watch sees it
    assert capfd.readouterr() == ("", "")
