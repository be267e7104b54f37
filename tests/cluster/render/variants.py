"""Variants of launch files: each format's default, and others with more settings."""

from __future__ import annotations

from typing import Final

from cluster.render import render_launch_file

# What is installed differs from machine to machine; a golden file does not.
PINNED: Final = {
    "compose": ["image=challenger-study:0.1.0"],
    "dockerfile": ["image=challenger-study:0.1.0", "versions.python=3.11.9"],
    "kuberay": ["image=challenger-study:0.1.0"],
    "ray-up": ["image=challenger-study:0.1.0"],
    "slurm": [],
}
_SERVERS: Final = [
    "database=postgresql+psycopg://lab@db.example.org:5432/studies",
    "tracking=https://mlflow.example.org",
]

# Name of a variant: format and what is set.
VARIANTS: Final[dict[str, tuple[str, list[str]]]] = {
    **{name: (name, []) for name in PINNED},
    "compose-rich": (
        "compose",
        [
            "name=lab",
            "workers.min=3",
            "workers.gpus=1",
            "compose.dashboard=true",
            "user_id=1234",
            "tls=true",
        ],
    ),
    "compose-with-servers": ("compose", _SERVERS),
    "dockerfile-rich": (
        "dockerfile",
        ["torch_backend=cpu", "packages=boto3,s3fs==2026.1.0", "user_id=1234", "storage=/data/x"],
    ),
    "kuberay-rich": (
        "kuberay",
        [
            "name=lab",
            "namespace=research",
            "kind=RayJob",
            "workers.gpus=2",
            "workers.max=16",
            "claim=shared",
            "pull_secret=registry",
            "queue=students",
            "tls=true",
            "study=mnist.yaml",
        ],
    ),
    "kuberay-with-servers": (
        "kuberay",
        [*_SERVERS, "storage_class=nfs", "workers.min=4", "workers.max=4"],
    ),
    "ray-up-rich": (
        "ray-up",
        [
            *_SERVERS,
            "head_ip=10.0.0.1",
            "worker_ips=10.0.0.2,10.0.0.3",
            "ssh_user=me",
            "ssh_key=~/.ssh/lab",
            "workers.gpus=2",
        ],
    ),
    "ray-up-without-containers": (
        "ray-up",
        ["container=false", "head_ip=10.0.0.1", "worker_ips=node2", "environment=/home/me/venv"],
    ),
    "ray-up-aws": (
        "ray-up",
        [
            "provider=aws",
            "file_system=fs-1.efs.eu-central-1.amazonaws.com",
            "spot=true",
            "image=registry.example.org/challenger-study:0.1.0",
        ],
    ),
    "slurm-rich": (
        "slurm",
        [
            *_SERVERS,
            "workers.min=4",
            "workers.gpus=2",
            "partition=gpu",
            "account=lab",
            "interface=ib0",
            "tls=true",
            "storage=/scratch/lab",
        ],
    ),
}


def variant_text(variant: str, *more: str) -> str:
    """Return the launch file of a variant, with further settings."""
    launcher, pairs = VARIANTS[variant]
    set_keys = {pair.split("=")[0] for pair in pairs}
    pinned = [pair for pair in PINNED[launcher] if pair.split("=")[0] not in set_keys]
    command = f"{launcher} {' '.join(pairs)}".strip()
    return render_launch_file(launcher, [*pinned, *pairs, *more], command)
