#!/bin/bash
# Made by: slurm database=postgresql+psycopg://lab@db.example.org:5432/studies tracking=https://mlflow.example.org workers.min=4 workers.gpus=2 partition=gpu account=lab interface=ib0 tls=true storage=/scratch/lab
#
# /opt/challenger must hold an installation of challenger-study, and
# /scratch/lab must be the same writable folder on all nodes.
# The database's password: HOST:*:*:USER:PASSWORD in ~/.pgpass, mode 600.
# MLflow's user and password: ~/.mlflow/credentials, mode 600.
# Run the study; the same command again, after the time limit or a failure, resumes it:
#   sbatch FILE                 # runs study.yaml of the current folder
#SBATCH --job-name=challenger
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --cpus-per-task=4
#SBATCH --gpus-per-node=2
#SBATCH --mem=16G
#SBATCH --time=1-00:00:00
#SBATCH --partition=gpu
#SBATCH --account=lab
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
export CHALLENGER_STORAGE=/scratch/lab/studies
export CHALLENGER_DATA=/scratch/lab/data
export CHALLENGER_DATABASE=postgresql+psycopg://lab@db.example.org:5432/studies
export CHALLENGER_TRACKING_URI=https://mlflow.example.org
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
# An authority of this job alone; each node makes its own certificate of it.
python -P -m cluster.node_certificate "$private" "$private/here" --create-authority
export RAY_USE_TLS="1"
export RAY_TLS_SERVER_CERT="$RAY_TMPDIR/tls/cert.pem"
export RAY_TLS_SERVER_KEY="$RAY_TMPDIR/tls/key.pem"
export RAY_TLS_CA_CERT="$private/tls_ca"
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
address=$("${on_head[@]}" ip -4 -o address show dev ib0 |
    sed -n '1s|.* inet \([0-9.]*\)/.*|\1|p')
if [ -z "$address" ]; then
    echo "$head has no IPv4 address on ib0; name its network device with --set slurm.interface=…" >&2
    exit 2
fi
"${on_all[@]}" mkdir -p "$RAY_TMPDIR"
"${on_all[@]}" python -P -m cluster.node_certificate "$private" "$RAY_TMPDIR/tls"

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
    --num-cpus=4 --num-gpus=2 --disable-usage-stats -- \
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
