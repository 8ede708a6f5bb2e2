#!/usr/bin/env bash
# Train one run on two hosts that are network namespaces of this machine, each with its own address, its own name and
# its own loopback, and compare it with the same training in one process. Needs root, iproute2, and no GPU:
#
#     sudo benchmarks/two_hosts.sh [FOLDER]
#
# FOLDER is the shared folder of both hosts; default: a new folder below /tmp, deleted at the end.
# MASKCLS_PYTHON names the Python that has maskcls, MASKCLS_PORT the port of the rendezvous.
set -euo pipefail

python=${MASKCLS_PYTHON:-python} port=${MASKCLS_PORT:-29400}
folder=${1:-$(mktemp -d /tmp/two_hosts.XXXXXX)}
[ $# -gt 0 ] || made=$folder
export OMP_NUM_THREADS=1 NO_ALBUMENTATIONS_UPDATE=1
unset GLOO_SOCKET_IFNAME NCCL_SOCKET_IFNAME

names=("mch$$a" "mch$$b")
addresses=(10.213.7.1 10.213.7.2)
pids=()

clean() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for name in "${names[@]}"; do
        ip netns del "$name" 2>/dev/null || true
        rm -rf "/etc/netns/$name"
    done
    [ -z "${made:-}" ] || rm -rf "$made"
}
trap clean EXIT

for name in "${names[@]}"; do ip netns add "$name"; done
ip link add "mcv$$a" type veth peer name "mcv$$b"
for i in 0 1; do
    end="mcv$$$([ $i = 0 ] && echo a || echo b)"
    ip link set "$end" netns "${names[$i]}"
    ip -n "${names[$i]}" addr add "${addresses[$i]}/24" dev "$end"
    ip -n "${names[$i]}" link set "$end" up
    ip -n "${names[$i]}" link set lo up
done

# The name of each host is not known to the other one, as on machines without a name server.
on_host() {
    local i=$1
    shift
    ip netns exec "${names[$i]}" unshare --uts bash -c 'hostname "$0" && exec "$@"' "host${i}.maskcls" "$@"
}

settings=(
    model.backbone=test_convnext 'transforms.size=[32,32]' folds.k=2 train.epochs=2 train.batch_size=11
    train.accumulate=2 train.report=false predict.batch_size=16 device.type=cpu device.threads=1 device.workers=0
    device.precision=fp32 device.memory_format=channels_last mix.kind=cutmix loss.all=focal average.kind=ema
)
"$python" -m maskcls data make "$folder/faces" --people 14 --seed 0 >/dev/null
"$python" -m maskcls train "$folder/faces" --run "$folder/one" "${settings[@]}" >"$folder/one.log" 2>&1

launch() {  # SERVER HOST WORDS...: start one of the two launchers; SERVER is the host of the rendezvous
    local server=$1 i=$2
    shift 2
    on_host "$i" "$python" -m torch.distributed.run --nnodes 2 --nproc_per_node 1 --rdzv_backend c10d \
        --rdzv_id "two$$" --rdzv_endpoint "${addresses[$server]}:$port" --local_addr "${addresses[$i]}" \
        --rdzv_conf "is_host=$((i == server))" -m -- maskcls "$@" \
        >"$folder/host$i.log" 2>&1 &
    pids+=($!)
}

run_on_both() {  # SERVER WORDS...
    local server=$1
    shift
    pids=()
    launch "$server" 1 "$@"
    launch "$server" 0 "$@"
    for pid in "${pids[@]}"; do wait "$pid" || { tail -n 40 "$folder"/host?.log; exit 1; }; done
    pids=()
}

run_on_both 0 train "$folder/faces" --run "$folder/two" "${settings[@]}"

# Now the second host holds the rendezvous, and its own name means loopback, as on Debian.
hosts="/etc/netns/${names[1]}"
mkdir -p "$hosts"
printf '127.0.0.1 localhost\n127.0.1.1 host1.maskcls host1\n' >"$hosts/hosts"
"$python" -m maskcls predict "$folder/two" --data "$folder/faces" -o "$folder/one.csv" >"$folder/predict.log" 2>&1
run_on_both 1 predict "$folder/two" --data "$folder/faces" -o "$folder/two.csv"
cmp "$folder/one.csv" "$folder/two.csv" && echo "the submission of both hosts has the bytes of one process"

"$python" - "$folder" <<'PYTHON'
import json, sys
from pathlib import Path

import numpy as np

folder = Path(sys.argv[1])
losses = {}
for name in ("one", "two"):
    logs = sorted((folder / name).glob("fold*/log.jsonl"))
    losses[name] = np.array([json.loads(line)["train/loss"] for log in logs for line in log.read_text().splitlines()])
parts = [np.load(folder / name / "oof.npz") for name in ("one", "two")]
assert parts[0]["ids"].tolist() == parts[1]["ids"].tolist(), "the out-of-fold rows are others"
rows = parts[0]["ids"].tolist()
assert len(set(rows)) == len(rows), "a row is predicted twice"
difference = float(abs(losses["one"] - losses["two"]).max())
probability = float(abs(parts[0]["prob"] - parts[1]["prob"]).max())
print(f"{len(rows)} out-of-fold rows, each once; processes: {json.loads((folder / 'two/env.json').read_text())['processes']}")
print(f"largest difference of a training loss {difference:.1e}, of an out-of-fold probability {probability:.1e}")
sys.exit(difference > 1e-6)
PYTHON
