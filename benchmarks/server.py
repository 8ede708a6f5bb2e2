"""Is `maskcls serve` as fast as the model alone, and does it stay up, whatever clients send?

    python benchmarks/server.py [--run RUN --data FOLDER] [--requests 5000] [--clients 64] [--rounds 10]

Without --run, a small network is trained on drawn faces. In each round, one after the other, the server answers a mix
of requests of several clients, and the model alone predicts batches of the most photos that the server would compute
together; its process has the same photos decoded. The clients are this process: prepared bytes over plain sockets. Its
processor time is printed, because on a machine with few cores the server lacks it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

BATCH = 32
ALONE = 192  # photos that the model alone predicts after each round of the server
EDGE = "edge-of-the-form"
ENDINGS = {".jpg", ".jpeg", ".png"}
SLOW_S = 2.0  # a slow client takes this long for its body
# Kind of request -> its share, and the status it must get.
MIX = {
    "one photo": (0.72, 200),
    "four photos": (0.18, 200),
    "slow": (0.02, 200),
    "one of two broken": (0.02, 200),
    "broken": (0.02, 422),
    "too large": (0.01, 413),
    "too many": (0.01, 413),
    "no form": (0.01, 400),
    "other type": (0.01, 415),
}
LARGE = 20_000_000  # bytes that a request says it has


@dataclass(frozen=True)
class Sent:
    """One answered request: its kind, status, seconds, and its good photos."""

    kind: str
    status: int
    seconds: float
    photos: int


def form(photos: Sequence[bytes]) -> bytes:
    """Return the body of a form with these files."""
    head = 'Content-Disposition: form-data; name="photos"; filename="{}.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    parts = [f"--{EDGE}\r\n{head.format(i)}".encode() + data + b"\r\n" for i, data in enumerate(photos)]
    return b"".join(parts) + f"--{EDGE}--\r\n".encode()


def request_bytes(kind: str, photos: Sequence[bytes]) -> tuple[bytes, bytes, int]:
    """Return the head, the body, and the number of good photos of a request."""
    good = {"one photo": 1, "four photos": 4, "slow": 1, "one of two broken": 1}.get(kind, 0)
    files = [*photos[:good], *([b"no image"] if "broken" in kind else [])]
    files = [b"x"] * 40 if kind == "too many" else files
    body = b"no form" if kind in ("no form", "other type") else b"" if kind == "too large" else form(files)
    content = "text/plain" if kind == "other type" else f"multipart/form-data; boundary={EDGE}"
    length = LARGE if kind == "too large" else len(body)
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content}\r\nContent-Length: {length}\r\n\r\n"
    return head.encode(), body, good


async def send(port: int, kind: str, photos: Sequence[bytes]) -> Sent:
    """Send one request on a connection of its own, and read the answer."""
    head, body, good = request_bytes(kind, photos)
    started = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    if kind == "slow":
        for start in range(0, len(body), len(body) // 8 + 1):
            writer.write(body[start : start + len(body) // 8 + 1])
            await asyncio.sleep(SLOW_S / 8)
    else:
        writer.write(body)
    first = await reader.readuntil(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", first)[1])  # type: ignore[index]
    await reader.readexactly(length)
    seconds = time.monotonic() - started
    writer.close()
    return Sent(kind, int(first.split()[1]), seconds, good)


async def send_all(port: int, kinds: Sequence[str], files: Sequence[bytes], clients: int, start: int) -> list[Sent]:
    """Send requests of these kinds, from so many clients side by side."""
    places, found = iter(range(len(kinds))), []

    async def client() -> None:
        for place in places:
            own = [files[(4 * (start + place) + i) % len(files)] for i in range(4)]
            found.append(await send(port, kinds[place], own))

    await asyncio.gather(*(client() for _ in range(clients)))
    return found


def resident(pid: int) -> float:
    """Return the memory of a process in MiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024  # type: ignore[index]


def processor_s(pid: int) -> float:
    """Return the processor seconds that a process has used."""
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def bare(run: Path, folder: Path, overrides: Sequence[str]) -> None:
    """Load the model and the photos; then, for each number on stdin, predict so many and print the seconds."""
    from maskcls.data.photos.images import read_image
    from maskcls.export.open_model import open_model
    from maskcls.show.terminal.progress import Reporter

    with Reporter(quiet=True) as report:
        model = open_model(run, overrides, report=report)
    photos = [read_image(path, at_least=model.decode_size) for path in photo_files(folder)]
    model.predict(photos[:BATCH])
    print("ready", flush=True)
    for line in sys.stdin:
        wanted = [photos[i % len(photos)] for i in range(int(line))]
        started, used = time.monotonic(), time.process_time()
        for start in range(0, len(wanted), BATCH):
            model.predict(wanted[start : start + BATCH])
        print(time.monotonic() - started, time.process_time() - used, flush=True)


def photo_files(folder: Path) -> list[Path]:
    """Return up to 512 photos below a folder, in a fixed order."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
    return sorted(path for path in found if not path.name.startswith("."))[:512]


def small_run(folder: Path) -> tuple[Path, Path]:
    """Draw faces and train a small network on them; return the run and the photos."""
    maskcls = [sys.executable, "-m", "maskcls"]
    subprocess.run([*maskcls, "data", "make", str(folder / "faces"), "--people", "60"], check=True)
    words = ["--config", "tiny_cpu", "--run", str(folder / "run"), "train.report=false"]
    subprocess.run([*maskcls, "train", str(folder / "faces"), *words], check=True)
    return folder / "run", folder / "faces" / "train"


def measure(args: argparse.Namespace, run: Path, data: Path) -> None:
    """Run all rounds and print the figures."""
    files = [path.read_bytes() for path in photo_files(data)]
    names = list(MIX)
    kinds = np.random.default_rng(0).choice(names, args.requests, p=[MIX[name][0] for name in names]).tolist()
    serve = [sys.executable, "-m", "maskcls", "serve", str(run), "--port", "0", "--batch", str(BATCH), *args.settings]
    alone = [sys.executable, __file__, "--bare", "--run", str(run), "--data", str(data), *args.settings]
    server = subprocess.Popen(serve, stderr=subprocess.PIPE, text=True)
    model = subprocess.Popen(alone, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        port = wait_for_port(server)
        assert model.stdout is not None
        assert model.stdin is not None
        assert model.stdout.readline() == "ready\n"
        asyncio.run(send_all(port, ["one photo"] * 8, files, 1, 0))
        sent, shares, cpu_shares, memory, client_s = [], [], [], [], 0.0
        size = args.requests // args.rounds
        for start in range(0, args.requests, size):
            used, own, began = processor_s(server.pid), time.process_time(), time.monotonic()
            found = asyncio.run(send_all(port, kinds[start : start + size], files, args.clients, start))
            wall, used = time.monotonic() - began, processor_s(server.pid) - used
            client_s += time.process_time() - own
            photos = sum(one.photos for one in found)
            print(ALONE, file=model.stdin, flush=True)
            bare_wall, bare_used = (float(text) * photos / ALONE for text in model.stdout.readline().split())
            shares.append(bare_wall / wall)
            cpu_shares.append(bare_used / used)
            memory.append(resident(server.pid))
            sent += found
            speeds = f"server {photos / wall:.1f}, model alone {photos / bare_wall:.1f} photos/s"
            print(f"{start + len(found)} requests: {speeds}; {memory[-1]:.0f} MiB", flush=True)
        server.send_signal(signal.SIGTERM)
        code = server.wait(60)
    finally:
        server.kill()
        model.kill()
    show(sent, shares, cpu_shares, memory, client_s, code)


def wait_for_port(server: subprocess.Popen[str]) -> int:
    """Return the port once the server listens."""
    assert server.stderr is not None
    for line in server.stderr:
        if found := re.search(r"http://127.0.0.1:(\d+)", line):
            return int(found[1])
    raise SystemExit("the server did not start")


def show(
    sent: Sequence[Sent],
    shares: Sequence[float],
    cpu_shares: Sequence[float],
    memory: Sequence[float],
    client_s: float,
    code: int,
) -> None:
    """Print the figures of all rounds."""
    wrong = Counter((one.kind, one.status) for one in sent if one.status != MIX[one.kind][1])
    ordinary = sorted(one.seconds for one in sent if one.kind == "one photo")
    summary = {
        "requests": len(sent),
        "photos": sum(one.photos for one in sent),
        "statuses": {kind: Counter(one.status for one in sent if one.kind == kind) for kind in MIX},
        "unexpected": [f"{kind}: {status}: {count}" for (kind, status), count in wrong.items()],
        "exit_code": code,
        "throughput_share": round(statistics.median(shares), 3),
        "throughput_share_range": [round(min(shares), 3), round(max(shares), 3)],
        "processor_share": round(statistics.median(cpu_shares), 3),
        "one_photo_p50_s": round(ordinary[len(ordinary) // 2], 3),
        "one_photo_p95_s": round(ordinary[int(0.95 * len(ordinary))], 3),
        "memory_MiB_by_round": [round(one) for one in memory],
        "client_processor_s": round(client_s, 1),
    }
    print(json.dumps(summary, indent=1))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="*", help="settings of predict.* and device.*")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--data", type=Path, help="folder of photos")
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.bare:
        bare(args.run, args.data, args.settings)
        return
    if args.run is not None:
        measure(args, args.run, args.data)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(args, *small_run(Path(folder)))


if __name__ == "__main__":
    main()
