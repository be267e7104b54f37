"""KubeRay: a RayCluster that stays, or a RayJob for one study, and the servers beside it."""

from __future__ import annotations

from typing import Any, Final

from cluster.render.environment import (
    DASHBOARD_PORT,
    HEALTH_PATH,
    HEALTH_PORT,
    MLFLOW_ADMIN,
    MLFLOW_PORT,
    RAY_PORT,
    STUDIES_DATABASE,
    database_address,
    driver_environment,
    node_environment,
    shared_memory_mb,
)
from cluster.render.kubernetes import (
    Manifest,
    claim,
    component_labels,
    container_security,
    http_probe,
    manifest,
    mlflow_host,
    pod,
    pod_security,
    postgres_host,
    resources,
    secret_name,
    server_manifests,
    variables,
)
from cluster.render.launch_file import LaunchFile, usage_lines
from cluster.render.settings import LaunchSettings

_STUDY_FOLDER: Final = "/study"
_TTL_AFTER_FINISHED_S: Final = 600


def render(settings: LaunchSettings) -> LaunchFile:
    """Write the manifests that ``kubectl apply`` reads."""
    documents = server_manifests(settings)
    if not settings.kubernetes.claim:
        documents.insert(0, _storage(settings))
    documents.append(_job(settings) if _is_job(settings) else _cluster(settings))
    return LaunchFile(usage=_usage(settings), content=tuple(documents))


def _is_job(settings: LaunchSettings) -> bool:
    return settings.kubernetes.kind == "RayJob"


def _claim_name(settings: LaunchSettings) -> str:
    return settings.kubernetes.claim or f"{settings.name}-storage"


def _storage(settings: LaunchSettings) -> Manifest:
    kubernetes = settings.kubernetes
    name, mode = _claim_name(settings), "ReadWriteMany"
    return claim(settings, name, mode, kubernetes.storage_gb, kubernetes.storage_class)


def _cluster(settings: LaunchSettings) -> Manifest:
    return _with_queue_label(
        settings,
        manifest("ray.io/v1", "RayCluster", settings.name, settings, spec=_cluster_spec(settings)),
    )


def _job(settings: LaunchSettings) -> Manifest:
    spec = {
        "entrypoint": f"challenger-study run {_STUDY_FOLDER}/{settings.study} --address auto",
        "submissionMode": "K8sJobMode",
        # A study goes on where it stood, on a cluster of its own again.
        "backoffLimit": 2,
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": _TTL_AFTER_FINISHED_S,
        "submitterPodTemplate": _submitter(settings),
        "rayClusterSpec": _cluster_spec(settings),
    }
    return _with_queue_label(
        settings, manifest("ray.io/v1", "RayJob", settings.name, settings, spec=spec)
    )


def _with_queue_label(settings: LaunchSettings, one: Manifest) -> Manifest:
    if settings.kubernetes.queue:
        one["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = settings.kubernetes.queue
    return one


def _cluster_spec(settings: LaunchSettings) -> Manifest:
    is_elastic = settings.workers.is_elastic
    return {
        "rayVersion": settings.versions.ray,
        # The operator makes the token, and gives it to all pods.
        "authOptions": {"mode": "token"},
        **({"enableInTreeAutoscaling": True} if is_elastic else {}),
        **({"autoscalerOptions": _autoscaler(settings)} if is_elastic else {}),
        "headGroupSpec": _head_group(settings),
        "workerGroupSpecs": [_worker_group(settings)],
    }


def _autoscaler(settings: LaunchSettings) -> Manifest:
    return {
        "version": "v2",
        "idleTimeoutSeconds": 60 * settings.idle_timeout_minutes,
        "upscalingMode": "Default",
        "imagePullPolicy": "IfNotPresent",
        "resources": resources("500m", "1Gi"),
        "securityContext": container_security(),
    }


def _head_group(settings: LaunchSettings) -> Manifest:
    ports = [
        {"name": "gcs-server", "containerPort": RAY_PORT},
        {"name": "dashboard", "containerPort": DASHBOARD_PORT},
    ]
    container = {**_ray_container(settings, "ray-head"), "ports": ports}
    container["env"] = _head_environment(settings)
    container["resources"] = resources(str(settings.head.cpus), f"{settings.head.memory_gb}Gi")
    template = _ray_pod(settings, "head", container, settings.head.memory_gb)
    if _is_job(settings):
        study = {"name": "study", "configMap": {"name": f"{settings.name}-study"}}
        template["spec"]["volumes"].append(study)
        mount = {"name": "study", "mountPath": _STUDY_FOLDER, "readOnly": True}
        container["volumeMounts"].append(mount)
    if settings.workers.is_elastic:
        # Its autoscaler asks Kubernetes for pods.
        template["spec"]["automountServiceAccountToken"] = True
    return {
        "serviceType": "ClusterIP",
        "rayStartParams": {
            # No trial runs beside the driver, nor where the passwords are.
            "num-cpus": "0",
            "num-gpus": "0",
            "dashboard-host": "0.0.0.0",
            "disable-usage-stats": "true",
        },
        "template": template,
    }


def _worker_group(settings: LaunchSettings) -> Manifest:
    workers, gpu = settings.workers, settings.kubernetes.gpu_resource
    container = _ray_container(settings, "ray-worker")
    container["env"] = variables(node_environment(), {})
    gpus = {gpu: workers.gpus} if workers.gpus else {}
    container["resources"] = resources(str(workers.cpus), f"{workers.memory_gb}Gi", gpus)
    template = _ray_pod(settings, "worker", container, workers.memory_gb)
    if workers.gpus:
        # Machines with GPUs are often shut to pods that do not want one.
        wants = {"key": gpu, "operator": "Exists", "effect": "NoSchedule"}
        template["spec"]["tolerations"] = [wants]
    return {
        "groupName": "workers",
        "replicas": workers.min,
        "minReplicas": workers.min,
        "maxReplicas": workers.max,
        "rayStartParams": {"disable-usage-stats": "true"},
        "template": template,
    }


def _ray_container(settings: LaunchSettings, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "image": settings.image,
        "imagePullPolicy": "IfNotPresent",
        "securityContext": container_security(),
        "startupProbe": http_probe(HEALTH_PATH, HEALTH_PORT, 5, 60),
        "readinessProbe": http_probe(HEALTH_PATH, HEALTH_PORT, 10, 3),
        "livenessProbe": http_probe(HEALTH_PATH, HEALTH_PORT, 20, 6),
        "volumeMounts": [
            {"name": "storage", "mountPath": settings.storage},
            {"name": "shared-memory", "mountPath": "/dev/shm"},
        ],
    }


def _ray_pod(
    settings: LaunchSettings, component: str, container: Manifest, memory_gb: int
) -> Manifest:
    size = f"{shared_memory_mb(memory_gb)}Mi"
    return pod(
        settings,
        component,
        securityContext=pod_security(settings.user_id),
        # A node that comes back is another one to Ray, and must be another pod.
        restartPolicy="Never",
        terminationGracePeriodSeconds=60,
        containers=[container],
        volumes=[
            {
                "name": "storage",
                "persistentVolumeClaim": {"claimName": _claim_name(settings)},
            },
            {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": size}},
        ],
    )


def _head_environment(settings: LaunchSettings) -> list[Manifest]:
    own = database_address(postgres_host(settings), STUDIES_DATABASE)
    mlflow = f"http://{mlflow_host(settings)}:{MLFLOW_PORT}"
    plain = {**node_environment(), **driver_environment(settings, own, mlflow)}
    secret = secret_name(settings)
    password = "studies-password" if settings.database else "database-password"
    secrets = {"PGPASSWORD": (secret, password)}
    if settings.needs_mlflow:
        plain["MLFLOW_TRACKING_USERNAME"] = MLFLOW_ADMIN
    else:
        secrets["MLFLOW_TRACKING_USERNAME"] = (secret, "mlflow-user")
    secrets["MLFLOW_TRACKING_PASSWORD"] = (secret, "mlflow-password")
    return variables(plain, secrets)


def _submitter(settings: LaunchSettings) -> Manifest:
    container = {
        "name": "submitter",
        "image": settings.image,
        "resources": resources("500m", "1Gi"),
        "securityContext": container_security(),
    }
    return pod(
        settings,
        "submitter",
        securityContext=pod_security(settings.user_id),
        restartPolicy="Never",
        containers=[container],
    )


def _usage(settings: LaunchSettings) -> tuple[str, ...]:
    space = settings.kubernetes.namespace
    kubectl = f"kubectl -n {space}"
    lines = f"""
        KubeRay 1.6 or newer must be installed. Once, the namespace and the passwords; those of
        servers that run already are asked for, all others are drawn (none is in this file):
          kubectl create namespace {space}
    """
    return (
        *usage_lines(lines),
        *_secrets(settings, f"{kubectl} create secret generic {secret_name(settings)}"),
        *(_job_usage if _is_job(settings) else _cluster_usage)(settings, kubectl),
        *_inspect_usage(settings, kubectl),
    )


def _secrets(settings: LaunchSettings, create: str) -> list[str]:
    """Give the lines that make the Secret; no list of processes shows what is in it."""
    drawn = ["database-password"] if settings.needs_postgres else []
    drawn += ["mlflow-password", "mlflow-key"] if settings.needs_mlflow else []
    asked = ["studies-password"] if settings.database else []
    asked += [] if settings.needs_mlflow else ["mlflow-user", "mlflow-password"]
    names = {key: key.replace("-", "_") for key in asked}
    lines = [f"read -rsp '{key}: ' {name}" for key, name in names.items()]
    lines.append(f"{create} --from-env-file=<(")
    if drawn:
        lines.append(f"  for k in {' '.join(drawn)}; do echo $k=$(openssl rand -hex 24); done")
    lines += [f'  echo "{key}=${name}"' for key, name in names.items()]
    return [f"  {line}" for line in (*lines, ")")]


def _cluster_usage(settings: LaunchSettings, kubectl: str) -> list[str]:
    place = f"{settings.storage}/{settings.study}"
    return [
        "Start it, run a study, end it (the claims stay):",
        "  kubectl apply -f FILE",
        f"  {_head_lookup(settings, kubectl)}",
        f"  {kubectl} cp {settings.study} $head:{place} -c ray-head",
        f"  {kubectl} exec -it $head -c ray-head -- challenger-study run {place} --address auto",
        f"  {kubectl} delete raycluster {settings.name}",
    ]


def _job_usage(settings: LaunchSettings, kubectl: str) -> list[str]:
    name, study = settings.name, settings.study
    return [
        "Run the study; the same lines again, after a change or an accident, go on with it:",
        f"  {kubectl} create configmap {name}-study --from-file={study} --dry-run=client -o yaml "
        f"| {kubectl} apply -f -",
        f"  {kubectl} delete rayjob {name} --ignore-not-found; kubectl apply -f FILE",
        f"  {kubectl} logs -f job/{name}",
    ]


def _inspect_usage(settings: LaunchSettings, kubectl: str) -> list[str]:
    lines = [
        f"Look at it from here; Ray, at http://127.0.0.1:{DASHBOARD_PORT}, asks for the token:",
        f"  {_head_lookup(settings, kubectl)}",
        f"  {kubectl} exec $head -c ray-head -- printenv RAY_AUTH_TOKEN",
        f"  {kubectl} port-forward $head {DASHBOARD_PORT}",
    ]
    if settings.needs_mlflow:
        get = f"{kubectl} get secret {secret_name(settings)} -o jsonpath="
        lines += [
            f"MLflow, at http://127.0.0.1:{MLFLOW_PORT}, asks for the user '{MLFLOW_ADMIN}' and:",
            f"  {get}'{{.data.mlflow-password}}' | base64 -d",
            f"  {kubectl} port-forward service/{mlflow_host(settings)} {MLFLOW_PORT}",
        ]
    return lines


def _head_lookup(settings: LaunchSettings, kubectl: str) -> str:
    labels = ",".join(f"{k}={v}" for k, v in component_labels(settings, "head").items())
    return f"head=$({kubectl} get pod -l {labels} -o jsonpath='{{.items[0].metadata.name}}')"
