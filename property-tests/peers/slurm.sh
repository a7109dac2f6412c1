#!/bin/sh
# A whole Slurm on this machine, for tests: `sh property-tests/peers/slurm.sh start [FOLDER]`, and `... stop [FOLDER]` afterwards.
#
# Wants Debian's packages slurmctld, slurmd, slurm-client and munge (slurm-wlm 22.05.8, munge 0.5.15 on Debian 12) and root, which
# slurmd needs; nothing of it runs as a service and no file outside FOLDER (default /tmp/weightloom-slurm) is written but munge's
# key, when there is none. One node with as many tasks at a time as SLOTS says (2), whatever the machine's cores. There is no accounting
# database: sacct answers that accounting is not there, as on small clusters, unless the job completion file is asked for.
# Afterwards: export SLURM_CONF=FOLDER/slurm.conf; sinfo
set -eu
action=${1:-start}
folder=${2:-/tmp/weightloom-slurm}
slots=${SLOTS:-2}

stop() {
  for name in slurmctld slurmd munged; do
    if [ -s "$folder/$name.pid" ]; then kill "$(cat "$folder/$name.pid")" 2>/dev/null || true; fi
  done
}

if [ "$action" = stop ]; then
  stop
  exit 0
fi
for tool in slurmctld slurmd munged scontrol; do
  command -v "$tool" >/dev/null || { echo "$tool is not here: apt-get install slurmctld slurmd slurm-client munge" >&2; exit 3; }
done
mkdir -p "$folder/state" "$folder/spool"
host=$(hostname -s)
cat > "$folder/slurm.conf" <<CONF
ClusterName=weightloom
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CryptoType=crypto/munge
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=1,sched_interval=2,bf_interval=2
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/completed.txt
AccountingStorageType=accounting_storage/none
KillWait=5
MinJobAge=3600
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=$slots RealMemory=16000 State=UNKNOWN
PartitionName=debug Nodes=$host Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
CONF
stop
sleep 1
[ -e /etc/munge/munge.key ] || { mkdir -p /etc/munge; dd if=/dev/urandom of=/etc/munge/munge.key bs=1024 count=1 2>/dev/null; chmod 400 /etc/munge/munge.key; }
munged --force --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" --seed-file="$folder/munged.seed"
SLURM_CONF=$folder/slurm.conf
export SLURM_CONF
slurmctld -c -f "$SLURM_CONF"
slurmd -f "$SLURM_CONF"
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  if sinfo -h -o %t 2>/dev/null | grep -q '^idle'; then
    sinfo
    exit 0
  fi
  sleep 1
done
echo "slurmctld does not answer; its log is $folder/slurmctld.log" >&2
tail -n 5 "$folder/slurmctld.log" "$folder/slurmd.log" >&2
exit 1
