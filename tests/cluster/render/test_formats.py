"""Launch files pass the checkers of their formats, which find mistakes."""

from __future__ import annotations

import pytest

from cluster.render import LAUNCHERS
from tests.cluster.render.checkers import CHECKERS
from tests.cluster.render.variants import VARIANTS, variant_text

# Format: variant, what stands there, what stands there by mistake, what is said of it.
MISTAKES = [
    ("compose", "compose", "shm_size:", "shm_sise:", "shm_sise"),
    ("compose", "compose", "service_healthy", "service_helthy", "service_helthy"),
    ("compose", "compose-rich", "devices:", "device:", "device"),
    ("compose", "compose", "content:", "contents:", "content"),
    ("dockerfile", "dockerfile", " --no-cache-dir", "", "DL3042"),
    ("dockerfile", "dockerfile", ":3.11.9-slim-bookworm", "", "DL3006"),
    ("dockerfile", "dockerfile", "hadolint ignore=DL3008", "without", "DL3008"),
    ("kuberay", "kuberay", "rayStartParams:", "rayStartParameters:", "rayStartParameters"),
    ("kuberay", "kuberay", "maxReplicas: 4", "maxReplicas: four", "maxReplicas"),
    ("kuberay", "kuberay", "mode: token", "mode: tokens", "authOptions.mode"),
    ("kuberay", "kuberay-rich", "submissionMode: K8s", "submissionMode: Kube", "submissionMode"),
    ("kuberay", "kuberay-rich", "backoffLimit: 2", "backofLimit: 2", "backofLimit"),
    ("kuberay", "kuberay", "startupProbe:", "startProbe:", "startProbe"),
    ("kuberay", "kuberay", "serviceName:", "servicesName:", "servicesName"),
    ("kuberay", "kuberay", "policyTypes:", "policyType:", "policyType"),
    ("kuberay", "kuberay", "accessModes:", "accessMode:", "accessMode"),
    ("ray-up", "ray-up", "max_workers:", "max_worker:", "max_worker"),
    ("ray-up", "ray-up", "pull_before_run:", "pull_before_runs:", "pull_before_runs"),
    ("ray-up", "ray-up-aws", "min_workers: 1", "min_workers: 9", "max_workers"),
    ("ray-up", "ray-up-aws", "head_node_type: head", "head_node_type: haed", "head_node_type"),
    ("slurm", "slurm", "is_stopping=false", "is_stoping=false", "SC2034"),
    ("slurm", "slurm", 'cat "$private/driver"', "cat $private/driver", "SC2086"),
    ("slurm", "slurm", "\nEND\n", "\n", "SC1"),
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_checkers_of_the_format_accept_every_variant(variant):
    assert CHECKERS[VARIANTS[variant][0]](variant_text(variant)) == []


@pytest.mark.parametrize(("launcher", "variant", "right", "wrong", "said"), MISTAKES)
def test_checkers_of_the_format_find_a_mistake(launcher, variant, right, wrong, said):
    content = variant_text(variant)
    assert right in content
    found = CHECKERS[launcher](content.replace(right, wrong))
    assert found
    assert said in "\n".join(found)


def test_every_format_is_checked_by_default_and_in_a_richer_form():
    assert set(CHECKERS) == set(LAUNCHERS)
    for launcher in LAUNCHERS:
        assert launcher in VARIANTS
        assert f"{launcher}-rich" in VARIANTS
