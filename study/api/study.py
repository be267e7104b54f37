"""A study as an object: built from a file, a mapping or keywords, run, and analysed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from rich.console import Console
from torch import nn

from search_spaces import ParamValue
from study.config.run_options import RunOptions
from study.config.study_spec import parse
from study.config.sweeps import add_sweeps
from study.config.yaml_reader import read_text
from study.engine.publishing import rebuild_report
from study.engine.run import RunResult, run_study
from study.engine.status import StudyStatus, study_status
from study.figures import FIGURES, ReportSource, Subject
from study.figures.rendering import Chart
from study.records.errors import ReportError, SpecError
from study.records.trial_table import ArmRow, TrialTable
from study.results.build import load_study, load_trial_table, read_study_text
from study.results.export import Per, export_columns, to_frame
from study.results.trained_models import export_model, load_models
from study.sensitivity import (
    COMPARED_METRICS,
    BestSet,
    Comparison,
    DimensionCurve,
    best_set,
    compare,
    sweep_curve,
    swept_dimensions,
)
from study.sensitivity.importance import Importance, importance, search_data
from study.storage.layout import StorageRoot, StudyFolder
from trainables.plugins import read_saved_digests

if TYPE_CHECKING:
    import pandas as pd

_DEFAULT_STORAGE = Path("challenger-studies")
_OBJECTIVE_ON_TEST = "test/accuracy"


class Study:
    """One study: its file, its trials and what they show.

    Every method reads the study in its present state, also while another process runs it. What
    the command line prints of a study is returned here.

    Example:
        >>> study = Study(
        ...     name="k-on-digits",
        ...     defaults={"dataset": "digits", "model": {"name": "vgg11", "width": 0.0625}},
        ...     arms=[{"method": "base"}, {"method": "challenger"}],
        ... )
        >>> study.name
        'k-on-digits'
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        /,
        *,
        storage: str | os.PathLike[str] = _DEFAULT_STORAGE,
        data_root: str | os.PathLike[str] | None = None,
        database: str | None = None,
        tracking_uri: str | None = None,
        **keys: Any,  # noqa: ANN401 (the keys of a study file)
    ) -> None:
        """Check a study without starting it.

        Args:
            source: Path of a study file, or what one contains as a mapping; None for keywords.
            storage: Folder of all studies.
            data_root: Folder with datasets; read only.
            database: URL of the Optuna database; None for a file in the storage.
            tracking_uri: MLflow's address; None for a database in the storage.
            keys: Keys of a study file: ``name``, ``defaults``, ``arms``, ``objective``, …; beside
                a source they replace its keys.

        Raises:
            SpecError: If the file is wrong, with the dotted path of the key and what must hold.
        """
        self._text, self._where = _study_text(source, keys)
        self._options = RunOptions(
            storage=StorageRoot(root=Path(storage).absolute()),
            data_root=None if data_root is None else Path(data_root).absolute(),
            database=database,
            tracking_uri=tracking_uri,
        )
        self._plugins = _plugin_folder(source)
        self._spec = parse(self._text, self._where, self._plugins)

    def __repr__(self) -> str:
        """Return name, arms and storage."""
        arms = ", ".join(arm.name for arm in self._spec.arms)
        return f"<Study {self.name!r} with arms {arms} in {self._options.storage.root}>"

    @property
    def name(self) -> str:
        """Name of the study."""
        return self._spec.name

    @property
    def text(self) -> str:
        """The study file."""
        return self._text

    @property
    def folder(self) -> Path:
        """Folder of its results; it exists once the study was started."""
        return self._folder.path

    def run(
        self,
        *,
        executor: Literal["ray", "inline"] = "ray",
        address: str | None = None,
        progress: bool = True,
    ) -> RunResult:
        """Run the study, or continue it if it was started; the report is written at its end.

        Ctrl-C, or a notebook's stop button, ends it after the trials wrote their checkpoints; the
        result then says that it is not finished, and the same call continues.

        Args:
            executor: ``ray`` runs trials side by side by Ray Tune, ``inline`` one after the other
                in this process.
            address: A running Ray; None for one of the study's own.
            progress: Whether to print a line per trial, or bars on a terminal.

        Raises:
            SpecError: If the study contradicts the one of that name that was begun.
            TrainableError: If data is missing or damaged.
            ClusterError: If there is no Ray, or none that could ever hold a trial.
            BusyError: If another process runs the study.
        """
        options = RunOptions(
            storage=self._options.storage,
            data_root=self._options.data_root,
            database=self._options.database,
            tracking_uri=self._options.tracking_uri,
            executor=executor,
            address=address,
        )
        console = Console(quiet=not progress)
        return run_study(self._text, self._where, options, console, self._plugins)

    def add_sweep(
        self,
        *dimensions: str,
        values: Sequence[ParamValue] | None = None,
        arm: str | None = None,
    ) -> None:
        """Add sweeps around the chosen configuration, which the next :meth:`run` trains.

        Args:
            dimensions: Dimensions to sweep, such as ``top_k``.
            values: Values of the one dimension; None for every class rank (``top_k``) or seven
                evenly spaced values.
            arm: Arm to sweep; None for all that search the dimension.

        Raises:
            SpecError: If the study was not started, no arm searches a dimension, or a value is
                illegal.
        """
        if values is not None and len(dimensions) != 1:
            raise SpecError(
                f"values belong to one dimension, got {len(dimensions)}: call add_sweep for each."
            )
        spec = load_study(self._folder)
        add_sweeps(spec, self._folder, dimensions, None if values is None else tuple(values), arm)

    def status(self) -> StudyStatus:
        """Return trials by state, best values, failures with reasons, rate and time left."""
        return study_status(
            self._folder,
            self._options.database_url,
            must_exist=self._options.database is not None,
        )

    def table(self) -> TrialTable:
        """Return all arms and trials as records.

        Raises:
            SpecError: If the study was not started.
        """
        return load_trial_table(self.name, self._options)

    def trials(self) -> pd.DataFrame:
        """Return a row per trial: parameters, and means of the metrics over its replicas."""
        return self._frame("trial")

    def replicas(self) -> pd.DataFrame:
        """Return a row per trial and replica, with the replica's own metrics at the end."""
        return self._frame("replica")

    def reports(self) -> pd.DataFrame:
        """Return a row per trial, replica and evaluation."""
        return self._frame("report")

    def best(self, arm: str | None = None) -> dict[str, ParamValue]:
        """Return the configuration that an arm's search chose.

        Args:
            arm: Its name; None for the only arm that searches.

        Raises:
            ReportError: If the search is unfinished, or it is not clear which arm is meant.
        """
        row = _searched_arm(self.table(), arm)
        if row.best_params is None:
            raise ReportError(
                f"arm '{row.name}' has chosen nothing yet: its search is unfinished, or no trial "
                "of it completed; run the study."
            )
        return dict(row.best_params)

    def compare(
        self, metrics: Sequence[str] = COMPARED_METRICS, *, against: str = "base"
    ) -> Comparison:
        """Return every arm's chosen configuration against a control, paired by seed.

        Args:
            metrics: Names such as ``test/accuracy``.
            against: Method of the control, ``base`` or ``random``.

        Returns:
            Means with 95 % intervals and Holm-corrected differences; ``to_frame()`` has them as a
            table.

        Raises:
            ReportError: If no arm has a completed final trial with 2 replicas.
        """
        return compare(self.table(), metrics, against=against)

    def sweep(
        self, dimension: str, *, arm: str | None = None, metric: str = _OBJECTIVE_ON_TEST
    ) -> DimensionCurve:
        """Return a metric over the swept values of a dimension, against Base and Random.

        Raises:
            ReportError: If the arm has no such sweep, or too little of it completed.
        """
        table = self.table()
        row = _arm(
            table,
            arm,
            lambda one: dimension in swept_dimensions(table, one),
            f"sweeps {dimension}",
        )
        return sweep_curve(table, row.name, dimension, metric)

    def good_set(
        self, dimension: str, *, arm: str | None = None, metric: str = _OBJECTIVE_ON_TEST
    ) -> BestSet:
        """Return the swept values that may be the best, with the most each may lose.

        Raises:
            ReportError: As :meth:`sweep`.
        """
        return best_set(self.sweep(dimension, arm=arm, metric=metric))

    def importance(
        self, *, arm: str | None = None, metric: str | None = None, allow_biased: bool = False
    ) -> Importance:
        """Return how much each dimension matters over the whole space, with intervals.

        Args:
            arm: Name of the arm; None for the only one with a design.
            metric: Name of a metric; None for the study's objective.
            allow_biased: Whether trials of a sampler that uses results are accepted; the result
                then describes the sampler too.

        Raises:
            ReportError: If the arm has no design, or too few of its trials completed.
        """
        table = self.table()
        row = _arm(
            table,
            arm,
            lambda one: bool(one.dimensions) and (allow_biased or one.design is not None),
            "searches by a design",
        )
        data = search_data(table, row.name, metric or table.objective, allow_biased=allow_biased)
        return importance(data)

    def model(self, arm: str | None = None, replica: int | Literal["best"] = "best") -> nn.Module:
        """Return a trained network of an arm's chosen configuration, in eval mode on the CPU.

        It takes the model's own inputs: images that are scaled as in training.

        Args:
            arm: Its name; None for the only arm that searches.
            replica: Index of the replica, or ``best`` by the validation objective.

        Raises:
            ReportError: If the arm has no result yet, or no such replica.
            CheckpointError: If the study keeps no models, or a file is damaged.
        """
        name = _searched_arm(self.table(), arm).name
        return load_models(self.name, self._options, name, replica)[0].network

    def export_model(
        self,
        path: str | os.PathLike[str],
        arm: str | None = None,
        replica: int | Literal["best", "mean"] = "best",
    ) -> None:
        """Write a trained network as a ``torch.export`` program, which runs without this package.

        ``torch.export.load(path).module()(batch)`` returns logits; images are taken as bytes.

        Args:
            path: File to write, ``.pt2`` by custom.
            arm: Name of the arm; None for the only arm that searches.
            replica: Index of the replica, ``best`` by the validation objective, or ``mean`` for
                the mean probabilities of all.

        Raises:
            ReportError: As :meth:`model`.
            CheckpointError: As :meth:`model`, or if the network cannot be exported.
        """
        name = _searched_arm(self.table(), arm).name
        export_model(self.name, self._options, name, Path(path), replica)

    def figures(self) -> tuple[tuple[str, str], ...]:
        """Return the names of all figures that the study can show, each with its title."""
        return tuple(
            (name, subject.title) for name, subject in self._subjects() if _is_there(subject)
        )

    def figure(self, name: str, *, arm: str | None = None, about: str | None = None) -> Chart:
        """Return a figure of the report, which shows itself in a notebook.

        Args:
            name: Its name: ``forest_plot``, ``sweep_curve``, …; :meth:`figures` has all.
            arm: Name of the arm, where the study has one such figure per arm.
            about: A part of its title, where there are still several: a dimension, a dataset.

        Returns:
            An Altair chart: ``save("figure.png")`` writes it.

        Raises:
            ReportError: If there is no such figure, more than one, or too little completed for it.
        """
        if name not in FIGURES:
            raise ReportError(f"figure must be one of {', '.join(FIGURES)}, got {name!r}.")
        found = [
            subject
            for each, subject in self._subjects()
            if each == name
            and (arm is None or arm in subject.arms)
            and (
                about is None or about in (subject.title, *subject.name) or about in subject.title
            )
        ]
        if len(found) != 1:
            titles = "; ".join(subject.title for subject in found)
            raise ReportError(
                f"figure {name!r} must be about one thing, but the study has {len(found)} of it"
                + (
                    f": {titles}; name an arm, or a part of the title by 'about'."
                    if found
                    else "."
                )
            )
        return FIGURES[name].chart(found[0].read())

    def report(self, *, page_format: Literal["html", "md"] = "html") -> Path:
        """Write the report, send it to MLflow, and return the path of its page."""
        console = Console(quiet=True)
        _, page = rebuild_report(self.name, self._options, console, page_format=page_format)
        return page

    @property
    def _folder(self) -> StudyFolder:
        return self._options.storage.study(self.name)

    def _frame(self, per: Per) -> pd.DataFrame:
        table = self.table()
        return to_frame(export_columns(table, per), table)

    def _subjects(self) -> list[tuple[str, Subject]]:
        source = ReportSource(table=self.table(), folder=self.folder)
        return [
            (name, subject)
            for name, figure in FIGURES.items()
            for subject in figure.subjects(source)
        ]


def open_study(
    name: str,
    *,
    storage: str | os.PathLike[str] = _DEFAULT_STORAGE,
    data_root: str | os.PathLike[str] | None = None,
    database: str | None = None,
    tracking_uri: str | None = None,
) -> Study:
    """Open a study that was started, by the file that it was last run with.

    Args:
        name: Its name.
        storage: Folder of all studies.
        data_root: Folder with datasets; read only.
        database: URL of the Optuna database; None for a file in the storage.
        tracking_uri: MLflow's address; None for a database in the storage.

    Raises:
        SpecError: If the storage has no study of that name.
    """
    folder = StorageRoot(root=Path(storage).absolute()).study(name)
    read_study_text(folder)
    return Study(
        folder.spec,
        storage=storage,
        data_root=data_root,
        database=database,
        tracking_uri=tracking_uri,
    )


def _study_text(
    source: str | os.PathLike[str] | Mapping[str, Any] | None, keys: Mapping[str, Any]
) -> tuple[str, str]:
    """Return a study file's text and its name for messages."""
    if source is not None and not isinstance(source, Mapping):
        text, where = read_text(Path(source)), os.fspath(source)
        if not keys:
            return text, where
        source = yaml.safe_load(text)
        if not isinstance(source, Mapping):
            raise SpecError(f"{where} must hold a mapping of settings.")
        return _dump({**source, **keys}), where
    try:
        return _dump({**(source or {}), **keys}), "study"
    except yaml.YAMLError as error:
        raise SpecError(
            f"study: its keys must hold texts, numbers, lists and mappings alone: {error}"
        ) from None


def _plugin_folder(source: str | os.PathLike[str] | Mapping[str, Any] | None) -> Path:
    """Return the folder of plug-in files: a begun study's copies, a file's, or the working one."""
    if source is None or isinstance(source, Mapping):
        return Path.cwd()
    beside = StudyFolder(path=Path(source).absolute().parent)
    return beside.plugins if read_saved_digests(beside.plugins) else beside.path


def _dump(keys: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(dict(keys), sort_keys=False, allow_unicode=True))


def _arm(
    table: TrialTable, name: str | None, is_meant: Callable[[ArmRow], bool], what: str
) -> ArmRow:
    names = [arm.name for arm in table.arms]
    if name is not None:
        if name not in names:
            raise ReportError(f"arm must be one of {', '.join(names)}, got {name!r}.")
        return table.arm(name)
    found = [arm for arm in table.arms if is_meant(arm)]
    if len(found) != 1:
        which = ", ".join(arm.name for arm in found) or "none"
        raise ReportError(
            f"arm must be named: of {', '.join(names)}, not one alone {what}, but {which}."
        )
    return found[0]


def _searched_arm(table: TrialTable, name: str | None) -> ArmRow:
    return _arm(table, name, lambda one: bool(one.dimensions), "searches a space")


def _is_there(subject: Subject) -> bool:
    try:
        subject.read()
    except ReportError:
        return False
    return True
