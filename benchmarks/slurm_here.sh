#!/bin/bash
# Start SLURM on this machine alone, as one node, without accounting and without cgroups: to try `--on slurm`.
#
#   apt-get install slurmctld slurmd slurm-client munge
#   sudo benchmarks/slurm_here.sh start [FOLDER]     (default folder: /tmp/slurm-here)
#   export SLURM_CONF=FOLDER/slurm.conf
#   maskcls train faces --config tiny_cpu --run runs/a --on slurm
#   sudo benchmarks/slurm_here.sh stop [FOLDER]
#
# It writes below FOLDER alone. The partition is `here`, with all cores of the machine and as many jobs at the same time.
set -euo pipefail
what=${1:-start}
folder=$(realpath -m "${2:-/tmp/slurm-here}")
node=$(hostname -s)
export SLURM_CONF=$folder/slurm.conf
daemons=(munged slurmctld slurmd)

stop() {
    for daemon in slurmd slurmctld munged; do
        if [ -s "$folder/$daemon.pid" ]; then kill "$(cat "$folder/$daemon.pid")" 2>/dev/null || true; fi
    done
}

if [ "$what" = stop ]; then stop; exit 0; fi
if [ "$what" != start ]; then echo "usage: $0 start|stop [FOLDER]" >&2; exit 2; fi
for daemon in "${daemons[@]}"; do
    command -v "$daemon" >/dev/null || { echo "$daemon is not installed: apt-get install slurmctld slurmd munge" >&2; exit 6; }
done
if command -v sinfo >/dev/null && [ -e "$SLURM_CONF" ] && timeout 5 sinfo >/dev/null 2>&1; then echo "runs already"; exit 0; fi

mkdir -p "$folder"/{state,spool}
chmod 755 "$folder" "$folder/state" "$folder/spool"
[ -s "$folder/munge.key" ] || (umask 077; head -c 1024 /dev/urandom >"$folder/munge.key")
memory_mb=$(($(awk '/MemTotal/ {print $2}' /proc/meminfo) / 1024 * 9 / 10))
cat >"$SLURM_CONF" <<CONF
ClusterName=here
SlurmctldHost=$node(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
SlurmctldPort=16817
SlurmdPort=16818
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=$((memory_mb / $(nproc)))
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
SchedulerParameters=sched_interval=2
KillWait=10
MinJobAge=300
NodeName=$node NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory_mb State=UNKNOWN
PartitionName=here Nodes=$node Default=YES MaxTime=INFINITE State=UP
CONF
munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
    --log-file="$folder/munged.log" --seed-file="$folder/munge.seed"
slurmctld -c
slurmd
for _ in $(seq 30); do
    if timeout 5 sinfo --noheader --format=%T 2>/dev/null | grep -q idle; then
        echo "SLURM runs: export SLURM_CONF=$SLURM_CONF"
        exit 0
    fi
    sleep 1
done
echo "SLURM did not start; see $folder/slurmctld.log and $folder/slurmd.log" >&2
exit 6
