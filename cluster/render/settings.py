"""Settings of launch files: one record for all formats, with what each value must hold.

Values are inserted into scripts and manifests, so few characters are allowed. No setting holds a
password: the files name where one is found.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from importlib import metadata
from pathlib import PurePosixPath
from typing import Annotated, Final, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

_WORD: Final = r"[A-Za-z0-9._,:=+/@~-]+"
_IMAGE: Final = r"[a-z0-9][A-Za-z0-9._/:-]*(:[A-Za-z0-9_][A-Za-z0-9._-]*|@sha256:[0-9a-f]{64})"
_ADDRESS: Final = r"[A-Za-z0-9._,:=+/@~?&%-]+"


def _matches(pattern: str, what: str, *, or_empty: bool = False) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value) and not (or_empty and value == ""):
            raise ValueError(f"must be {what}")
        return value

    return AfterValidator(check)


def _check_image(value: str) -> str:
    if value.endswith(":latest"):
        raise ValueError("must name a version of the image, not 'latest'")
    return value


def _check_folder(value: str) -> str:
    path = PurePosixPath(value)
    if not path.is_absolute() or ".." in path.parts or str(path) != value or value == "/":
        raise ValueError("must be an absolute path without '..' and without '/' at its end")
    return value


def _url(*schemes: str) -> AfterValidator:
    """Return a check of a URL without a password, whose message never repeats the URL."""

    def check(value: str) -> str:
        if not value:
            return value
        starts = " or ".join(f"{scheme}://" for scheme in schemes)
        try:
            parts = urlsplit(value)
            has_password = parts.password is not None or "password" in parse_qs(parts.query)
            is_known = parts.scheme in schemes and bool(parts.hostname)
        except ValueError:
            is_known, has_password = False, False
        if has_password:
            raise ValueError(
                "must not hold a password, which is readable in the file; the comments at the "
                "top of the file name where it belongs"
            )
        if not is_known or not re.fullmatch(_ADDRESS, value):
            raise ValueError(f"must be a URL that begins with {starts}")
        return value

    return AfterValidator(check)


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


_WORD_TEXT: Final = "letters, digits and . _ , : = + / @ ~ -"
Word = Annotated[str, _matches(_WORD, f"{_WORD_TEXT}, at least one")]
WordOrEmpty = Annotated[str, _matches(_WORD, _WORD_TEXT, or_empty=True)]
_LABEL: Final = r"[a-z]([a-z0-9-]*[a-z0-9])?"
_LABEL_TEXT: Final = "lower-case letters, digits and -, a letter first"
Label = Annotated[str, _matches(_LABEL, _LABEL_TEXT), Field(max_length=63)]
LabelOrEmpty = Annotated[str, _matches(_LABEL, _LABEL_TEXT, or_empty=True), Field(max_length=63)]
Version = Annotated[str, _matches(r"\d+(\.\d+)+\w*", "a version such as 2.1")]
Image = Annotated[
    str,
    _matches(_IMAGE, "an image with a tag or a digest, such as registry/name:1.0"),
    AfterValidator(_check_image),
]
Folder = Annotated[Word, AfterValidator(_check_folder)]
StudyFile = Annotated[
    Word, _matches(r"[^/]+\.ya?ml", "the name of a YAML file in the current folder")
]
Host = Annotated[
    str,
    _matches(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", "an IPv4 address or a host name"),
]
SlurmTime = Annotated[
    str,
    _matches(
        r"\d+(:\d\d){0,2}|\d+-\d+(:\d\d){0,2}",
        "minutes, hours:minutes:seconds or days-hours:minutes:seconds",
    ),
]


def _installed(package: str) -> Callable[[], str]:
    return lambda: metadata.version(package)


class _Record(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True
    )


class Head(_Record):
    """The machine with Ray's head and the driver, on which no trial runs."""

    cpus: int = Field(default=2, ge=1)
    """Its CPUs."""
    # Ray's head takes 1.7 GB before a driver comes.
    memory_gb: int = Field(default=8, ge=4)
    """Its memory, in GiB."""


class Workers(_Record):
    """The machines that train."""

    min: int = Field(default=1, ge=0)
    """How many are started at once, and kept."""
    max: int = Field(default=4, ge=1)
    """Up to how many are started where trials wait and the format can do it."""
    cpus: int = Field(default=4, ge=1)
    """CPUs of each."""
    gpus: int = Field(default=0, ge=0)
    """GPUs of each."""
    memory_gb: int = Field(default=16, ge=2)
    """Memory of each, in GiB."""

    @model_validator(mode="after")
    def _check_max(self) -> Workers:
        if self.max < self.min:
            raise ValueError(f"max must be at least min, which is {self.min}, got {self.max}")
        return self


class Versions(_Record):
    """Versions that all machines must share; by default those installed here."""

    ray: Version = Field(default_factory=_installed("ray"))
    """Version of Ray."""
    python: Version = Field(default_factory=platform.python_version)
    """Version of Python, of three parts."""
    mlflow: Version = Field(default_factory=_installed("mlflow"))
    """Version of MLflow."""
    optuna_dashboard: Version = "0.21.0"
    """Version of Optuna's dashboard."""


class Kubernetes(_Record):
    """Settings of the KubeRay manifests alone."""

    namespace: Label = "challenger"
    """Namespace of everything; it must exist."""
    kind: Literal["RayCluster", "RayJob"] = "RayCluster"
    """RayCluster stays; RayJob runs one study and ends."""
    claim: LabelOrEmpty = ""
    """Existing claim for the shared storage, of mode ReadWriteMany; empty to make one."""
    storage_class: LabelOrEmpty = ""
    """Class of a claim that is made; empty for the cluster's default."""
    storage_gb: int = Field(default=100, ge=1)
    """Size of the claim that is made, in GiB."""
    database_gb: int = Field(default=10, ge=1)
    """Size of PostgreSQL's claim, in GiB."""
    artifacts_gb: int = Field(default=20, ge=1)
    """Size of the claim for MLflow's artifacts, in GiB."""
    gpu_resource: Word = "nvidia.com/gpu"
    """The cluster's resource name of a GPU."""
    pull_secret: LabelOrEmpty = ""
    """Secret that the image is pulled with; empty for none."""
    queue: LabelOrEmpty = ""
    """Kueue's queue; empty for none."""


class RayUp(_Record):
    """Settings of Ray's cluster launcher alone."""

    provider: Literal["local", "aws"] = "local"
    """local for machines that run, aws for machines that are rented."""
    head_ip: Host = "127.0.0.1"
    """Address of the head of local."""
    worker_ips: Annotated[tuple[Host, ...], BeforeValidator(_split)] = ()
    """Addresses of the workers of local; all of them are used."""
    ssh_user: Word = "ubuntu"
    """User on all machines."""
    ssh_key: WordOrEmpty = ""
    """File with the private ssh key; empty for ssh's default."""
    container: bool = True
    """Whether Ray runs in the image; otherwise in the environment."""

    @model_validator(mode="after")
    def _check_addresses(self) -> RayUp:
        if len({self.head_ip, *self.worker_ips}) <= len(self.worker_ips):
            raise ValueError(
                f"worker_ips must differ from each other and from head_ip, which is "
                f"{self.head_ip}, got {','.join(self.worker_ips)}"
            )
        return self


class Aws(_Record):
    """Settings of Ray's cluster launcher on AWS alone."""

    region: Word = "eu-central-1"
    """Region of the machines."""
    head_type: Word = "m7i.large"
    """Machine type of the head."""
    worker_type: Word = "m7i.xlarge"
    """Machine type of the workers."""
    file_system: WordOrEmpty = ""
    """EFS file system of the shared storage, such as fs-0123.efs.eu-central-1.amazonaws.com."""
    spot: bool = False
    """Whether workers are spot machines, which may be taken away."""


class Slurm(_Record):
    """Settings of a batch job alone."""

    partition: WordOrEmpty = ""
    """Partition of the job; empty for the default."""
    account: WordOrEmpty = ""
    """Account that is charged; empty for the default."""
    time: SlurmTime = "1-00:00:00"
    """Time limit, as Slurm writes it."""
    interface: WordOrEmpty = ""
    """Network device that Ray uses, such as ib0; empty for the first."""


class Compose(_Record):
    """Settings of Docker Compose alone."""

    dashboard: bool = False
    """Whether Optuna's dashboard is started too; it has no password."""


class Dockerfile(_Record):
    """Settings of the image alone."""

    torch_backend: WordOrEmpty = ""
    """Build of torch as uv names it (cpu, cu130); empty for PyPI's."""
    packages: Annotated[tuple[Word, ...], BeforeValidator(_split)] = ()
    """Further packages, such as boto3 for machines of AWS."""


class LaunchSettings(_Record):
    """Everything that a launch file depends on."""

    # Parts of the names that Kubernetes derives from it take some 20 of its 63 characters.
    name: Label = Field(default="challenger", max_length=40)
    """Name of the cluster."""
    image: Image = Field(
        default_factory=lambda: f"challenger-study:{metadata.version('challenger-study')}"
    )
    """Image that everything runs in, with a tag or a digest."""
    user_id: int = Field(default=1000, ge=1)
    """User and group ID of all processes in the image."""
    environment: Folder = "/opt/challenger"
    """Virtual environment of the installation, in the image and on machines without containers."""
    study: StudyFile = "study.yaml"
    """Study file that the commands at the top of a file run."""
    storage: Folder = "/challenger"
    """Folder that all machines share; studies and data are below."""
    database: Annotated[str, _url("postgresql+psycopg")] = ""
    """URL of a running Optuna database, without a password; empty for the file's own server where
    it starts one, and for a file in storage otherwise."""
    tracking: Annotated[str, _url("http", "https")] = ""
    """URL of a running MLflow server, without a password."""
    postgres: Image = "postgres:17-bookworm"
    """Image of PostgreSQL where the file starts one."""
    tls: bool = False
    """Whether Ray's processes speak TLS, each node with a certificate of the file's authority."""
    idle_timeout_minutes: int = Field(default=10, ge=1)
    """Minutes after which a worker without work is given back."""
    head: Head = Head()
    workers: Workers = Workers()
    versions: Versions = Field(default_factory=Versions)
    kubernetes: Kubernetes = Kubernetes()
    ray_up: RayUp = RayUp()
    aws: Aws = Aws()
    slurm: Slurm = Slurm()
    compose: Compose = Compose()
    dockerfile: Dockerfile = Dockerfile()

    @property
    def needs_mlflow(self) -> bool:
        """Whether there is no MLflow server yet."""
        return not self.tracking

    @property
    def needs_postgres(self) -> bool:
        """Whether a PostgreSQL is needed: for the studies, for MLflow, or for both."""
        return not self.database or self.needs_mlflow
