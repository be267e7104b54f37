#!/bin/bash
# Made by: slurm
#
# /opt/challenger must hold an installation of challenger-study, and
# /challenger must be the same writable folder on all nodes.
# The database is a file in /challenger; if that is a network file system, name
# a PostgreSQL: --set database=postgresql+psycopg://USER@HOST/NAME
# Run the study; the same command again, after the time limit or a failure, resumes it:
#   sbatch FILE                 # runs study.yaml of the current folder
#SBATCH --job-name=challenger
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --time=1-00:00:00
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
# Two minutes before the time limit, and only to this script: the study then stops in order.
#SBATCH --signal=B:TERM@120

set -euo pipefail

export PATH=/opt/challenger/bin:"$PATH"
export RAY_AUTH_MODE=token
export RAY_USAGE_STATS_ENABLED=0
export RAY_CHDIR_TO_TRIAL_DIR=0
export RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO=0
export CHALLENGER_STORAGE=/challenger/studies
export CHALLENGER_DATA=/challenger/data
export DO_NOT_TRACK=true
export MLFLOW_DISABLE_TELEMETRY=true
# Nodes do not start at the same moment; both of Ray's default timeouts are half a minute.
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=600
export RAY_py_gcs_connect_timeout_s=600
# Another user's files may be in /tmp/ray; with an option instead the driver would not find Ray.
export RAY_TMPDIR=/tmp/ray-"$SLURM_JOB_ID"

# In the home folder, which all nodes share: a token readable by its owner alone.
private="$HOME/.challenger-$SLURM_JOB_ID"
rm -rf "$private"
# In a subshell: the study's own files may be readable by others.
(
    umask 077
    mkdir "$private"
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$private/token"
)
export RAY_AUTH_TOKEN_PATH="$private/token"
# The driver's pid, for SIGTERM.
cat >"$private/run" <<'END'
echo $$ >"${0%/*}/driver"
exec challenger-study run "$@"
END

on_all=(srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1)
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)
on_head=(srun --nodes=1 --ntasks=1 --overlap --nodelist="$head")

# shellcheck disable=SC2317 # called by the trap
clean_up() {
    "${on_all[@]}" --overlap rm -rf "$RAY_TMPDIR" || true
    rm -rf "$private"
}
trap clean_up EXIT

# An address: on the head itself its name may resolve to 127.0.1.1, and then no node is head.
address=$("${on_head[@]}" hostname -I | tr ' ' '\n' | sed -n '/^[0-9]*\.[0-9]*\.[0-9]*\.[0-9]*$/{p;q;}')
if [ -z "$address" ]; then
    echo "$head has no IPv4 address; name its network device with --set slurm.interface=…" >&2
    exit 2
fi
"${on_all[@]}" mkdir -p "$RAY_TMPDIR"

# Only the driver gets SIGTERM: its trials then write their checkpoints on running nodes.
is_stopping=false
# shellcheck disable=SC2317 # called by the trap
stop() {
    is_stopping=true
    if [ -s "$private/driver" ]; then
        "${on_head[@]}" kill -TERM "$(cat "$private/driver")" || true
    else
        kill -TERM "$step"
    fi
}

# Slurm's default for a step is one CPU.
"${on_all[@]}" --cpus-per-task=4 \
    ray symmetric-run --address="$address:6379" --min-nodes="$SLURM_JOB_NUM_NODES" \
    --num-cpus=4 --num-gpus=0 --disable-usage-stats -- \
    bash "$private/run" study.yaml --address "$address:6379" &
step=$!
trap stop TERM

code=0
wait "$step" || code=$?
# A signal ends the wait, not the step.
while "$is_stopping"; do
    is_stopping=false
    code=0
    wait "$step" || code=$?
done
exit "$code"
