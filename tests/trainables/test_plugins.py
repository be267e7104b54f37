"""Plug-ins: found, imported, checked against the contract, and their content in identities."""

from __future__ import annotations

import importlib.metadata
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.plug_ins import EXAMPLES, write_examples, write_measurements
from tests.trainables.builders import trial
from trainables import base_models
from trainables.attribution import ATTRIBUTIONS
from trainables.conformance import (
    check_config,
    check_dataset,
    check_metric,
    check_part,
)
from trainables.datasets import DATASETS, DataFolders
from trainables.errors import PluginError
from trainables.methods import METHODS
from trainables.metrics import METRICS
from trainables.models import MODELS
from trainables.plugins import (
    GROUP,
    Part,
    Plugin,
    discovery,
    find_installed,
    find_plugin,
    load_plugins,
    unload_all,
    used_plugins,
)

HEAD = "from typing import ClassVar\nfrom trainables.parts import *\n\n"
JITTER = '''
@record
class Shake(Method):
    """Change nothing."""

    name: ClassVar[str] = "shake"
    label: ClassVar[str] = "Shake"

    def perturb(self, model, batch, rng):
        return batch
'''


def load_text(folder: Path, text: str, file: str = "my_shake.py") -> tuple[Part, ...]:
    (folder / file).write_text(HEAD + text, encoding="utf-8")
    (found,) = load_plugins([find_plugin(file, folder)])
    return found.parts


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(PluginError) as caught:
        load_text(folder, text)
    return str(caught.value)


BUILT_IN = [
    *(("attribution", name, kind) for name, kind in ATTRIBUTIONS.items()),
    *(("method", name, kind) for name, kind in METHODS.items()),
    *(("metric", name, score) for name, score in METRICS.items()),
    *(("model", name, kind) for name, kind in MODELS.items()),
    ("dataset", "digits", DATASETS["digits"]),
]


@pytest.mark.parametrize(("kind", "name", "value"), BUILT_IN, ids=lambda value: str(value)[:20])
def test_built_in_parts_pass_the_check_of_plug_ins(kind, name, value, tmp_path):
    folders = DataFolders(root=None, cache=tmp_path)
    assert check_part(Part(kind=kind, name=name, value=value), folders).problems == ()
    if kind == "metric":
        assert list(check_metric(value, multi_label=True)) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.splitlines()[0])
def test_each_example_of_the_docs_conforms_by_itself(example, tmp_path):
    write_measurements(tmp_path)
    (tmp_path / "my_example.py").write_text(example, encoding="utf-8")
    (found,) = load_plugins([find_plugin("my_example.py", tmp_path)])
    (part,) = found.parts
    checked = check_part(part, DataFolders(root=tmp_path, cache=tmp_path))
    assert (checked.problems, checked.note) == ((), "")


def test_parts_are_known_by_name_until_they_are_unloaded(tmp_path):
    known = [set(table) for table in (DATASETS, MODELS, METHODS, ATTRIBUTIONS, METRICS)]
    (found,) = load_plugins([find_plugin(str(write_examples(tmp_path)), tmp_path)])
    names = ("measurements", "perceptron", "jitter", "absolute_gradient", "top_two")
    assert [part.name for part in found.parts] == list(names)
    tables = (DATASETS, MODELS, METHODS, ATTRIBUTIONS, METRICS)
    assert [set(table) - old for table, old in zip(tables, known, strict=True)] == [
        {name} for name in names
    ]
    unload_all()
    assert [set(table) for table in tables] == known


def test_a_module_of_a_package_beside_the_study_file_takes_what_its_package_defines(tmp_path):
    package = tmp_path / "my_lab"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "methods.py").write_text(HEAD + JITTER, encoding="utf-8")
    (package / "parts.py").write_text("from my_lab.methods import Shake\n", encoding="utf-8")
    plugin = find_plugin("my_lab.parts", tmp_path)
    (found,) = load_plugins([plugin])
    assert [part.name for part in found.parts] == ["shake"]
    (package / "table.txt").write_text("1", encoding="utf-8")
    assert find_plugin("my_lab.parts", tmp_path).digest != plugin.digest


def test_an_installed_package_declares_its_plug_ins(tmp_path, monkeypatch):
    (tmp_path / "my_installed.py").write_text(HEAD + JITTER, encoding="utf-8")
    info = tmp_path / "my_installed-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-installed\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nmine = my_installed\nbad = my_absent\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert importlib.metadata.entry_points(group=GROUP)
    discovery._entry_points.cache_clear()
    try:
        with pytest.raises(PluginError) as caught:
            find_installed()
        assert str(caught.value).startswith(
            "plug-in of the installed package my-installed: 'my_absent' must be an importable "
            "module, but there is no module 'my_absent'"
        )
        (info / "entry_points.txt").write_text(f"[{GROUP}]\nmine = my_installed\n")
        discovery._entry_points.cache_clear()
        (found,) = load_plugins(find_installed())
        assert [part.name for part in found.parts] == ["shake"]
    finally:
        monkeypatch.undo()
        discovery._entry_points.cache_clear()


def test_content_is_part_of_a_trials_identity_and_of_the_key_of_a_base_model(tmp_path, digits):
    ids = set()
    for comment in ("# a\n", "# b\n"):
        (part,) = load_text(tmp_path, comment + JITTER)
        config = replace(trial(), method=part.value())
        assert used_plugins(config).keys() == {"my_shake"}
        key = base_models._key(config, digits, 0, base_models.torch.device("cpu"))
        ids |= {config.hash(), key}
    assert len(ids) == 4
    assert used_plugins(trial()) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("@record\n", ""), "must have the decorator @record above it"),
        (('"""Change nothing."""', ""), "must have a docstring"),
        (('    label: ClassVar[str] = "Shake"\n', ""), "must have a 'label: ClassVar[str]'"),
        (('"shake"', '"Shake It"'), "must have a 'name: ClassVar[str]' of lower-case letters"),
        (("def perturb", "def other"), "must have perturb(model, batch, rng), which is missing"),
        (
            ("(self, model, batch, rng)", "(self, batch)"),
            "must have perturb(model, batch, rng), got perturb(batch)",
        ),
    ],
)
def test_what_is_missing_of_the_contract_is_said_with_file_and_line(change, message, tmp_path):
    said = refusal(tmp_path, JITTER.replace(*change))
    assert said.startswith("my_shake.py:")
    assert "method Shake" in said
    assert message in said
    assert "shake" not in METHODS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:\n", "my_shake.py:4: SyntaxError: "),
        ("import no_such_module\n", "my_shake.py:4: ModuleNotFoundError: No module named"),
        ("1 / 0\n", "my_shake.py:4: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)\n", "my_shake.py:4: SystemExit: 3"),
        (JITTER.replace('"shake"', '"base"'), "method 'base' must have a name of its own, but"),
        ('Big = Score(label="x", direction="maximize", compute=len)\n', "is its name, and must"),
    ],
)
def test_a_broken_plug_in_is_one_message_with_its_line(text, message, tmp_path):
    said = refusal(tmp_path, text)
    assert message in said
    assert said.count("\n") == 0
    assert list(load_text(tmp_path, JITTER, "my_other.py"))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("my_absent.py", "'my_absent.py' must be a file, but there is no "),
        ("my_absent", "'my_absent' must be an importable module, but there is no module"),
        ("my absent", "must be a file, such as 'my_parts.py', or a module"),
        ("my-parts.py", "'my-parts.py' must be named like a Python module"),
        ("json.py", "'json.py' would hide the module 'json' ("),
        ("torch", "plug-in 'torch' in "),
    ],
)
def test_a_plug_in_that_cannot_be_found_or_must_not_be_one(entry, message, tmp_path):
    for name in ("my-parts.py", "json.py"):
        (tmp_path / name).touch()
    with pytest.raises(PluginError) as caught:
        find_plugin(entry, tmp_path)
    assert message in str(caught.value)


def test_two_plug_ins_of_one_study_may_not_define_the_same_part(tmp_path):
    plugins: list[Plugin] = []
    for name in ("my_a.py", "my_b.py"):
        (tmp_path / name).write_text(HEAD + JITTER, encoding="utf-8")
        plugins.append(find_plugin(name, tmp_path))
    with pytest.raises(PluginError, match="there is one of that name, of plug-in my_a"):
        load_plugins(plugins)
    # Of two studies in one process, the later one counts.
    (found,) = load_plugins(plugins[1:])
    assert METHODS["shake"] is found.parts[0].value


WRONG = {
    "method": (
        JITTER.replace("return batch", "batch.inputs.add_(1)\n        return batch"),
        "perturb must not change the given batch",
    ),
    "random": (
        JITTER.replace(
            "return batch",
            "import torch, dataclasses\n        return dataclasses.replace(batch, "
            "inputs=batch.inputs + torch.randn(batch.inputs.shape))",
        ),
        "perturb must draw from the given ReplicaRNG alone",
    ),
    "replicas": (
        JITTER.replace(
            "return batch",
            "import dataclasses\n        i = batch.inputs\n        "
            "return dataclasses.replace(batch, inputs=i - i.mean(0))",
        ),
        "perturb must treat interleaved replicas as it treats each alone",
    ),
    "model": (
        EXAMPLES[1].replace("info.n_classes)", "info.n_classes + 1)"),
        "it must return logits (8, 10), got (8, 11).",
    ),
    "weights": (
        EXAMPLES[1].replace(
            "torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))", "pass"
        ),
        "build must draw weights from the given generator alone",
    ),
    "attribution": (
        EXAMPLES[3].replace(".detach().abs()", ".detach().abs().sum(1)"),
        "it must return relevances like the inputs",
    ),
    "metric": (
        EXAMPLES[4].replace('"maximize"', '"minimize"'),
        "its direction is 'minimize', but",
    ),
    "raises": (JITTER.replace("return batch", "raise KeyError(7)"), "my_shake.py:13: KeyError: 7"),
}


@pytest.mark.parametrize("case", WRONG)
def test_parts_that_do_not_conform_are_named_with_their_line(case, tmp_path):
    text, message = WRONG[case]
    (part,) = load_text(tmp_path, text)
    problems = check_part(part, DataFolders(root=None, cache=tmp_path)).problems
    assert message in " ".join(problems)
    assert all(problem.startswith("my_shake.py:") for problem in problems)


def test_a_dataset_must_be_what_it_says_it_is(tmp_path):
    write_measurements(tmp_path)
    folders = DataFolders(root=tmp_path, cache=tmp_path)
    text = (
        EXAMPLES[0]
        .replace("input_shape=(4, 1)", "input_shape=(5, 1)")
        .replace("n_classes=3", "n_classes=2")
    )
    (part,) = load_text(tmp_path, text)
    problems = list(check_dataset(part.value(), folders))
    assert "train: its classes must be within info.n_classes, 0 to 1." in problems
    assert "val: views must return inputs (3, 5, 1) in float32, got (3, 4, 1) torch.float32." in (
        problems
    )


def test_a_trial_is_checked_with_its_own_data_and_network(tmp_path):
    (part,) = load_text(tmp_path, WRONG["method"][0])
    config = replace(trial(), method=part.value())
    problem, *_ = check_config(config, DataFolders(root=None, cache=tmp_path))
    assert "perturb must not change the given batch" in problem
