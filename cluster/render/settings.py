"""What a launch file is made of: one record for all formats.

What several formats need stands at the top or in ``head``, ``workers`` and ``versions``; what
belongs to one of them alone has its name. No setting holds a password: the files name where one
is found.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from typing import Literal

from cluster.errors import LaunchError
from cluster.render import checks

# Parts of the names that Kubernetes derives from it take some 20 of its 63 characters.
_LONGEST_NAME = 40


@cache
def _installed_version(package: str) -> str:
    return metadata.version(package)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The machine with Ray's head and the driver, on which no trial runs.

    Attributes:
        cpus: Its CPUs.
        memory_gb: Its memory, in GiB.
    """

    cpus: int = 2
    memory_gb: int = 8

    def __post_init__(self) -> None:
        checks.at_least("cpus", self.cpus, 1)
        # Ray's head takes 1.7 GB before a driver comes.
        checks.at_least("memory_gb", self.memory_gb, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """The machines that train.

    Attributes:
        min: How many are started at once, and kept.
        max: Up to how many are started where trials wait and the format can do it.
        cpus: CPUs of each.
        gpus: GPUs of each.
        memory_gb: Memory of each, in GiB.
    """

    min: int = 1
    max: int = 4
    cpus: int = 4
    gpus: int = 0
    memory_gb: int = 16

    def __post_init__(self) -> None:
        checks.at_least("min", self.min, 0)
        checks.at_least("cpus", self.cpus, 1)
        checks.at_least("gpus", self.gpus, 0)
        checks.at_least("memory_gb", self.memory_gb, 2)
        if self.max < max(self.min, 1):
            raise LaunchError(
                f"max must be at least 1 and at least min, which is {self.min}, got {self.max}; "
                "raise it or lower min."
            )

    @property
    def is_elastic(self) -> bool:
        """Whether workers come and go."""
        return self.max > self.min


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """Versions that all machines must share; by default what is installed here.

    Attributes:
        ray: Ray's.
        python: Python's, of three parts.
        mlflow: MLflow's.
        optuna_dashboard: Optuna's dashboard's.
    """

    ray: str = field(default_factory=lambda: _installed_version("ray"))
    python: str = field(default_factory=platform.python_version)
    mlflow: str = field(default_factory=lambda: _installed_version("mlflow"))
    optuna_dashboard: str = "0.21.0"

    def __post_init__(self) -> None:
        checks.versions(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubernetes:
    """What the KubeRay manifests need beside.

    Attributes:
        namespace: Where everything lives; it must exist.
        kind: ``RayCluster`` stays; ``RayJob`` runs one study and ends.
        claim: Existing claim for the shared storage, which many nodes may write to
            (ReadWriteMany); empty to make one.
        storage_class: Class of a claim that is made; empty for the cluster's default.
        storage_gb: Size of the claim that is made, in GiB.
        database_gb: Size of PostgreSQL's own claim, in GiB.
        artifacts_gb: Size of the claim for MLflow's artifacts, in GiB.
        gpu_resource: How the cluster calls a GPU.
        pull_secret: Secret that the image is pulled with; empty for none.
        queue: Kueue's queue; empty for none.
    """

    namespace: str = "challenger"
    kind: Literal["RayCluster", "RayJob"] = "RayCluster"
    claim: str = ""
    storage_class: str = ""
    storage_gb: int = 100
    database_gb: int = 10
    artifacts_gb: int = 20
    gpu_resource: str = "nvidia.com/gpu"
    pull_secret: str = ""
    queue: str = ""

    def __post_init__(self) -> None:
        checks.label("namespace", self.namespace, 63)
        for name in ("claim", "storage_class", "pull_secret", "queue"):
            checks.label_or_empty(name, getattr(self, name))
        for name in ("storage_gb", "database_gb", "artifacts_gb"):
            checks.at_least(name, getattr(self, name), 1)
        checks.word("gpu_resource", self.gpu_resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class RayUp:
    """What Ray's cluster launcher needs beside.

    Attributes:
        provider: ``local`` for machines that run, ``aws`` for machines that are rented.
        head_ip: Address of the head of ``local``.
        worker_ips: Addresses of the workers of ``local``; all of them are used.
        ssh_user: User on all machines.
        ssh_key: File with the key that opens them; empty for ssh's own choice.
        container: Whether Ray runs in the image; otherwise in the ``environment``.
    """

    provider: Literal["local", "aws"] = "local"
    head_ip: str = "127.0.0.1"
    worker_ips: tuple[str, ...] = ()
    ssh_user: str = "ubuntu"
    ssh_key: str = ""
    container: bool = True

    def __post_init__(self) -> None:
        for address in (self.head_ip, *self.worker_ips):
            checks.host("head_ip and worker_ips", address)
        if self.head_ip in self.worker_ips or len({*self.worker_ips}) < len(self.worker_ips):
            raise LaunchError(
                f"worker_ips must differ from each other and from head_ip, which is "
                f"{self.head_ip}, got {', '.join(self.worker_ips)}; name every machine once."
            )
        checks.word("ssh_user", self.ssh_user)
        checks.word_or_empty("ssh_key", self.ssh_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aws:
    """What ``ray_up.provider=aws`` needs beside.

    Attributes:
        region: Where machines are rented.
        head_type: Kind of machine of the head.
        worker_type: Kind of machine of the workers.
        file_system: Name of the EFS file system for the shared storage, such as
            ``fs-0123.efs.eu-central-1.amazonaws.com``.
        spot: Whether workers are spot machines, which may be taken away.
    """

    region: str = "eu-central-1"
    head_type: str = "m7i.large"
    worker_type: str = "m7i.xlarge"
    file_system: str = ""
    spot: bool = False

    def __post_init__(self) -> None:
        for name in ("region", "head_type", "worker_type"):
            checks.word(name, getattr(self, name))
        checks.word_or_empty("file_system", self.file_system)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slurm:
    """What a batch job needs beside.

    Attributes:
        partition: Where it waits; empty for the default.
        account: Who pays; empty for the default.
        time: How long it may run, as Slurm writes it.
        interface: Network device that Ray shall use, such as ``ib0``; empty for the first.
    """

    partition: str = ""
    account: str = ""
    time: str = "1-00:00:00"
    interface: str = ""

    def __post_init__(self) -> None:
        for name in ("partition", "account", "interface"):
            checks.word_or_empty(name, getattr(self, name))
        checks.slurm_time("time", self.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compose:
    """What Docker Compose needs beside.

    Attributes:
        dashboard: Whether Optuna's dashboard is started too; it asks for no password.
    """

    dashboard: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dockerfile:
    """What the image needs beside.

    Attributes:
        torch_backend: Build of torch as uv names it (``cpu``, ``cu130``); empty for PyPI's.
        packages: Further packages, such as ``boto3`` for machines of AWS.
    """

    torch_backend: str = ""
    packages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checks.word_or_empty("torch_backend", self.torch_backend)
        for package in self.packages:
            checks.word("packages", package)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSettings:
    """Everything that a launch file depends on.

    Attributes:
        name: What the cluster is called.
        image: Image that everything runs in; a tag or a digest says which.
        user_id: Number of the user and group who run everything in the image.
        environment: Virtual environment of the installation, in the image and on machines
            without containers.
        study: Study file that the lines at the top of a file run.
        storage: Folder that all machines share; studies and data are below.
        database: URL of a running Optuna database, without a password; empty for the file's own
            server where it starts one, and for a file in ``storage`` otherwise.
        tracking: The same of an MLflow server.
        postgres: Image of PostgreSQL where the file starts one.
        idle_timeout_minutes: After how long a worker without work is given back.
        head: The head.
        workers: The workers.
        versions: Versions that must agree.
        kubernetes: Of KubeRay alone.
        ray_up: Of Ray's cluster launcher alone.
        aws: Of Ray's cluster launcher on AWS alone.
        slurm: Of Slurm alone.
        compose: Of Docker Compose alone.
        dockerfile: Of the image alone.
    """

    name: str = "challenger"
    image: str = field(
        default_factory=lambda: f"challenger-study:{_installed_version('challenger-study')}"
    )
    user_id: int = 1000
    environment: str = "/opt/challenger"
    study: str = "study.yaml"
    storage: str = "/challenger"
    database: str = ""
    tracking: str = ""
    postgres: str = "postgres:17-bookworm"
    idle_timeout_minutes: int = 10
    head: Head = field(default_factory=Head)
    workers: Workers = field(default_factory=Workers)
    versions: Versions = field(default_factory=Versions)
    kubernetes: Kubernetes = field(default_factory=Kubernetes)
    ray_up: RayUp = field(default_factory=RayUp)
    aws: Aws = field(default_factory=Aws)
    slurm: Slurm = field(default_factory=Slurm)
    compose: Compose = field(default_factory=Compose)
    dockerfile: Dockerfile = field(default_factory=Dockerfile)

    def __post_init__(self) -> None:
        checks.label("name", self.name, _LONGEST_NAME)
        checks.pinned_image("image", self.image)
        checks.pinned_image("postgres", self.postgres)
        checks.at_least("user_id", self.user_id, 1)
        checks.folder("environment", self.environment)
        checks.folder("storage", self.storage)
        checks.file_name("study", self.study)
        checks.address("database", self.database, ("postgresql+psycopg",))
        checks.address("tracking", self.tracking, ("http", "https"))
        checks.at_least("idle_timeout_minutes", self.idle_timeout_minutes, 1)

    @property
    def needs_mlflow(self) -> bool:
        """Whether there is no MLflow server yet."""
        return not self.tracking

    @property
    def needs_postgres(self) -> bool:
        """Whether a PostgreSQL is needed: for the studies, for MLflow, or for both."""
        return not self.database or self.needs_mlflow
