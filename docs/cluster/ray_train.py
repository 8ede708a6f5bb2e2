"""Train one network on several nodes of a Ray cluster: a task per node starts torchrun, one process per GPU.

    ray job submit --working-dir . -- python docs/cluster/ray_train.py 2 4 /shared/faces /shared/runs/a --config multi

The words are the number of nodes, processes per node, DATA, RUN, and what `maskcls train` takes besides. DATA and RUN
are on a disk that all nodes share. Where a node is lost, the tasks are started again, and the run is continued.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import ray
from ray.util.placement_group import placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

ATTEMPTS = 5
PORT = 29400


@ray.remote(max_calls=1)
def address() -> str:
    """Return the address of the node that this task runs on."""
    return ray.util.get_node_ip_address()


@ray.remote(max_calls=1)
def launch(number: int, nodes: int, processes: int, first: str, attempt: int, words: list[str]) -> int:
    """Run one launcher to its end, and return its exit code. number: of the node; the first holds the rendezvous."""
    rendezvous = [
        *("--rdzv_backend", "c10d", "--rdzv_id", f"maskcls-{attempt}", "--rdzv_endpoint", f"{first}:{PORT + attempt}"),
        *("--rdzv_conf", f"is_host={int(number == 0)}", "--local_addr", ray.util.get_node_ip_address()),
    ]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes", str(nodes), "--nproc_per_node"]
    return subprocess.run([*launcher, str(processes), *rendezvous, "-m", "--", "maskcls", *words]).returncode


def main(nodes: int, processes: int, data: str, run: str, words: list[str]) -> int:
    """Train, or continue, until the run is finished."""
    ray.init()
    gpus = ray.cluster_resources().get("GPU", 0) > 0
    share = {"CPU": float(os.environ.get("CPUS", processes)), **({"GPU": processes} if gpus else {})}
    group = placement_group([share] * nodes, strategy=os.environ.get("PLACEMENT", "STRICT_SPREAD"))
    ray.get(group.ready())

    def on(number: int, task: object, **resources: float) -> object:
        where = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=number)
        return task.options(scheduling_strategy=where, num_cpus=resources["CPU"], num_gpus=resources.get("GPU", 0))

    code = 1
    for attempt in range(ATTEMPTS):
        first = ray.get(on(0, address, **share).remote())
        begun = Path(run, "config.yaml").exists()
        given = ["resume", run] if begun else ["train", data, "--run", run, *words]
        tasks = [on(n, launch, **share).remote(n, nodes, processes, first, attempt, given) for n in range(nodes)]
        try:
            code = max(ray.get(tasks))
        except ray.exceptions.RayError as lost:
            print(f"a node was lost: {lost}", file=sys.stderr)
            continue
        if code == 0 or not Path(run, "config.yaml").exists():  # done, or what failed would fail again
            break
    return code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5:]))
