"""``ray up``: Ray's own cluster launcher, on machines that run or that are rented from AWS."""

from __future__ import annotations

from typing import Any, Final

from cluster.errors import LaunchError
from cluster.render.environment import (
    DASHBOARD_PORT,
    RAY_PORT,
    driver_environment,
    node_environment,
    shared_memory_mb,
)
from cluster.render.launch_file import LaunchFile, drop_empty, usage_lines
from cluster.render.settings import LaunchSettings

_HEAD: Final = "head"
_WORKER: Final = "worker"
_TOKEN: Final = "~/.ray/auth_token"


def render(settings: LaunchSettings) -> LaunchFile:
    """Write what ``ray up`` reads.

    Raises:
        LaunchError: If machines shall be rented but a setting that this needs is missing.
    """
    is_local = settings.ray_up.provider == "local"
    cluster = {
        "cluster_name": settings.name,
        "max_workers": len(settings.ray_up.worker_ips) if is_local else settings.workers.max,
        **({} if is_local else {"idle_timeout_minutes": settings.idle_timeout_minutes}),
        "provider": _local(settings) if is_local else _aws(settings),
        "auth": drop_empty(
            {
                "ssh_user": settings.ray_up.ssh_user,
                "ssh_private_key": settings.ray_up.ssh_key,
            }
        ),
        **({} if is_local else _node_types(settings)),
        **({"docker": _docker(settings)} if settings.ray_up.container else {}),
        # The same token on all machines: whoever has none is refused.
        "file_mounts": {_TOKEN: _TOKEN},
        "initialization_commands": [] if is_local else _mount_commands(settings),
        "setup_commands": [f"chmod 600 {_TOKEN}"],
        # Ray's defaults of AWS would install another Ray.
        "head_setup_commands": [],
        "worker_setup_commands": [],
        **_start_commands(settings),
    }
    return LaunchFile(usage=_usage(settings), content=(cluster,))


def _local(settings: LaunchSettings) -> dict[str, Any]:
    return {
        "type": "local",
        "head_ip": settings.ray_up.head_ip,
        "worker_ips": list(settings.ray_up.worker_ips),
    }


def _aws(settings: LaunchSettings) -> dict[str, Any]:
    return {"type": "aws", "region": settings.aws.region, "cache_stopped_nodes": False}


def _node_types(settings: LaunchSettings) -> dict[str, Any]:
    workers, aws = settings.workers, settings.aws
    market = {"InstanceMarketOptions": {"MarketType": "spot"}} if aws.spot else {}
    head = {
        # No trial runs beside the driver.
        "resources": {"CPU": 0},
        "node_config": {"InstanceType": aws.head_type},
    }
    worker = {
        "min_workers": workers.min,
        "max_workers": workers.max,
        "resources": {"CPU": workers.cpus} | ({"GPU": workers.gpus} if workers.gpus else {}),
        "node_config": {"InstanceType": aws.worker_type, **market},
    }
    return {"available_node_types": {_HEAD: head, _WORKER: worker}, "head_node_type": _HEAD}


def _mount_commands(settings: LaunchSettings) -> list[str]:
    storage, system = settings.storage, settings.aws.file_system
    if not system:
        raise LaunchError(
            "aws.file_system must name the EFS file system that all machines share, but is "
            "empty; give --set aws.file_system=fs-….efs.REGION.amazonaws.com."
        )
    options = "nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport"
    return [
        "command -v mount.nfs4 || (sudo apt-get update && sudo apt-get install -y nfs-common)",
        f"sudo mkdir -p {storage}",
        f"mountpoint -q {storage} || sudo mount -t nfs4 -o {options} {system}:/ {storage}",
        f"sudo chown {settings.ray_up.ssh_user} {storage}",
    ]


def _docker(settings: LaunchSettings) -> dict[str, Any]:
    return {
        "image": settings.image,
        "container_name": settings.name,
        "pull_before_run": False,
        # Ray measures the machine's memory otherwise, and asks for a share of its own.
        "disable_shm_size_detection": True,
        "run_options": [
            f"--volume {settings.storage}:{settings.storage}",
            # Reaps the processes of trials that were killed.
            "--init",
            "--cap-drop ALL",
            "--security-opt no-new-privileges",
            "--ulimit nofile=65536:65536",
            *(f"--env {name}={value}" for name, value in node_environment().items()),
        ],
        "head_run_options": [
            _shared_memory(settings.head.memory_gb),
            *(f"--env {name}={value}" for name, value in driver_environment(settings).items()),
        ],
        "worker_run_options": [
            _shared_memory(settings.workers.memory_gb),
            *(["--gpus all"] if settings.workers.gpus else []),
        ],
    }


def _shared_memory(memory_gb: int) -> str:
    return f"--shm-size {shared_memory_mb(memory_gb)}m"


def _start_commands(settings: LaunchSettings) -> dict[str, list[str]]:
    workers = settings.workers
    head = f"ray start --head --port={RAY_PORT} --num-cpus=0 --num-gpus=0 --disable-usage-stats"
    # A user who may log in reaches the dashboard through ssh, nobody else does.
    head += f" --dashboard-host=127.0.0.1 --dashboard-port={DASHBOARD_PORT}"
    head += " --autoscaling-config=~/ray_bootstrap_config.yaml"
    worker = f"ray start --address=$RAY_HEAD_IP:{RAY_PORT} --disable-usage-stats"
    worker += f" --num-cpus={workers.cpus} --num-gpus={workers.gpus}"
    before = _exports(settings)
    return {
        "head_start_ray_commands": [f"{before}ray stop", f"{before}{head}"],
        "worker_start_ray_commands": [f"{before}ray stop", f"{before}{worker}"],
    }


def _exports(settings: LaunchSettings) -> str:
    if settings.ray_up.container:
        return ""
    variables = " ".join(f"{name}={value}" for name, value in node_environment().items())
    path = f"PATH={settings.environment}/bin:$PATH"
    return f"ulimit -n 65536; export {path} {variables}; "


def _usage(settings: LaunchSettings) -> tuple[str, ...]:
    lines = """
        Once, the token that everybody needs who connects, and in every shell that does:
          test -e ~/.ray/auth_token || (umask 077; ray get-auth-token --generate >/dev/null)
          export RAY_AUTH_MODE=token
        Start it, run a study, look at it, end it (FILE is this file):
    """
    study = settings.study
    commands = ["ray up FILE", *_credentials(settings), f"ray rsync-up FILE {study} '~/{study}'"]
    run = f"challenger-study run ~/{study} --address auto"
    commands += [f"ray exec FILE '{_driver_prefix(settings)}{run}'"]
    commands += [f"ray dashboard FILE --port {DASHBOARD_PORT}", "ray down FILE"]
    return (
        *usage_lines(lines),
        *(f"  {command}" for command in commands),
        *_prerequisites(settings),
    )


def _credentials(settings: LaunchSettings) -> list[str]:
    """Give what takes passwords to the head alone, into the files where they are looked for."""
    files = ["~/.pgpass"] if settings.database else []
    files += ["~/.mlflow/credentials"] if settings.tracking else []
    return [f"ray rsync-up FILE {file} '{file}'" for file in files]


def _driver_prefix(settings: LaunchSettings) -> str:
    if settings.ray_up.container:
        return ""
    variables = driver_environment(settings).items()
    return f"{_exports(settings)}export {' '.join(f'{k}={v}' for k, v in variables)}; "


def _prerequisites(settings: LaunchSettings) -> tuple[str, ...]:
    up = settings.ray_up
    shared = f"""
        {settings.storage} must be the same folder on all machines, and belong to {up.ssh_user}.
        Ray's ports must be open between the machines and shut to all others.
    """
    lines = usage_lines(shared)
    if not settings.database:
        lines += (
            "The database is a file there; on a network file system, rather name a PostgreSQL:",
            "  --set database=postgresql+psycopg://USER@HOST/NAME    # its password: ~/.pgpass",
        )
    if up.container:
        lines += (
            f"{up.ssh_user} must have the number {settings.user_id} (--set user_id) and may use "
            "Docker.",
        )
    else:
        lines += (f"challenger-study must be installed in {settings.environment} on each.",)
    if up.provider == "aws":
        lines += (
            "Here ray needs boto3 and credentials of AWS, and so does the image:",
            "  challenger-study cluster render dockerfile --set dockerfile.packages=boto3",
        )
    return lines
