"""The calls to MLflow: one experiment, its runs and what is in them."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from cluster.mlflow_server import create_store_if_missing, mlflow_uri, relocate_artifacts
from cluster.port_owner import foreign_server_error
from study.records.errors import TrackingError, mask_passwords
from study.tracking.record_types import (
    EXPERIMENT_ID,
    TAG_LENGTH,
    CloseRun,
    LogArtifact,
    LogMetrics,
    LogTable,
    MlflowRecord,
    OpenRun,
    SetTags,
)
from study.tracking.tracking_uri import TrackingUri

RUN_KEY_TAG: Final = "challenger.run_key"
IDENTITY_TAG: Final = "challenger.study_id"
_PARAMS_PER_CALL: Final = 100  # MLflow's limit for the params or tags of one log_batch


def is_permanent_error(error: Exception) -> bool:
    """Return whether MLflow will refuse the same request for ever (HTTP 400, 413 and 422).

    Not final: wrong credentials (401, 403), a wrong address (404), haste (429), everything of
    the server's own (5xx), no answer. Those end when someone mends them.
    """
    status = getattr(error, "get_http_status_code", None)
    if status is not None:
        return status() in {400, 413, 422}
    return isinstance(error, FileNotFoundError)


def table_json(table: LogTable) -> str:
    """Write a table as MLflow's ``log_table`` does: pandas' JSON with orient ``split``."""
    rows = [list(cells) for cells in zip(*table.columns.values(), strict=True)]
    return json.dumps({"columns": list(table.columns), "data": rows})


@dataclass(slots=True, kw_only=True)
class MlflowMirror:
    """MLflow's client and one experiment: the only place that calls MLflow.

    Attributes:
        address: Where MLflow is.
        experiment: Name of the experiment.
        artifacts: Folder of the experiment's artifacts where MLflow is a database without a
            server; a server chooses its own.
        identity: The study's identity: another study's experiment of the same name is left
            alone, and this one's has a part of the identity in its name. None for whichever
            study has the name.
    """

    address: TrackingUri
    experiment: str
    artifacts: Path
    identity: str | None = None
    _client: Any = None
    _experiment_id: str = ""

    def connect(self) -> str:
        """Find or make the experiment, and give its id.

        Raises:
            TrackingError: If the experiment was deleted.
        """
        create_store_if_missing(self.address.uri, self.artifacts.absolute().as_uri())
        relocate_artifacts(self.address.uri, self.artifacts)
        if self._client is None:
            self._client = _mlflow().MlflowClient(tracking_uri=mlflow_uri(self.address.uri))
        found = self._find()
        if found is None:
            self._experiment_id = self._create()
            return self._experiment_id
        if found.lifecycle_stage != "active":
            raise TrackingError(
                f"{mask_passwords(self.address.uri)}: the experiment {self.experiment!r} must "
                f"be active, but it was deleted; bring it back with 'mlflow experiments restore "
                f"--experiment-id {found.experiment_id}' or give the study another name"
            )
        self._experiment_id = found.experiment_id
        return self._experiment_id

    def _find(self) -> Any:  # noqa: ANN401 (MLflow's)
        """Return this study's experiment, deleted or not, or None."""
        named = self._client.get_experiment_by_name(self.experiment)
        if self.identity is None or (named is not None and self._is_own(named)):
            return named
        query = f"tags.`{IDENTITY_TAG}` = '{self.identity}'"
        every = _mlflow().entities.ViewType.ALL
        found = self._client.search_experiments(every, filter_string=query, max_results=1)
        return next(iter(found), None)

    def _is_own(self, experiment: Any) -> bool:  # noqa: ANN401 (MLflow's)
        return bool(experiment.tags.get(IDENTITY_TAG) == self.identity)

    def _create(self) -> str:
        """Make the experiment, with a part of the identity in its name if that is taken."""
        is_taken = self._client.get_experiment_by_name(self.experiment) is not None
        name = f"{self.experiment} ({(self.identity or '')[:8]})" if is_taken else self.experiment
        is_server = urlsplit(self.address.uri).scheme in {"http", "https"}
        location = None if is_server else self.artifacts.absolute().as_uri()
        tags = {} if self.identity is None else {IDENTITY_TAG: self.identity}
        made = self._client.create_experiment(name, artifact_location=location, tags=tags)
        return str(made)

    def delete(self) -> bool:
        """Delete the experiment, and free its name; False if there is none."""
        self._client = _mlflow().MlflowClient(tracking_uri=mlflow_uri(self.address.uri))
        found = self._find()
        if found is None:
            return False
        if found.lifecycle_stage == "active":
            self._client.rename_experiment(
                found.experiment_id, f"{found.name} (deleted, {found.experiment_id})"
            )
            self._client.delete_experiment(found.experiment_id)
        if urlsplit(self.address.uri).scheme not in {"http", "https"}:
            collect = importlib.import_module("mlflow.cli").gc
            uri = mlflow_uri(self.address.uri)
            options = ["--backend-store-uri", uri, "--tracking-uri", uri]
            options += ["--experiment-ids", found.experiment_id]
            collect.main(options, standalone_mode=False)
        return True

    def require_own_server(self) -> None:
        """Look whose the server is: a password is sent with every call.

        Raises:
            TrackingError: If another account of this machine has taken the server's port.
        """
        if not self.address.uri.startswith(("http://", "https://")):
            return
        if (reason := foreign_server_error(self.address.uri)) is not None:
            raise TrackingError(
                f"{mask_passwords(self.address.uri)}: {reason}; start the server again"
            )

    def find_run(self, run_key: str) -> str | None:
        """Return the id of the run with that key, or None."""
        runs = self._client.search_runs(
            [self._experiment_id], filter_string=f"tags.\"{RUN_KEY_TAG}\" = '{run_key}'"
        )
        # Some databases compare without regard to case.
        same = [run for run in runs if run.data.tags.get(RUN_KEY_TAG) == run_key]
        oldest = min(same, key=lambda run: run.info.start_time, default=None)
        return None if oldest is None else str(oldest.info.run_id)

    def create_run(self, record: OpenRun, parent_id: str | None) -> str:
        """Make a run with its tags, and give its id."""
        tags = {**record.tags, RUN_KEY_TAG: record.run_key, "mlflow.runName": record.name}
        if self.identity is not None:
            tags[IDENTITY_TAG] = self.identity
        if parent_id is not None:
            tags["mlflow.parentRunId"] = parent_id
        run = self._client.create_run(
            self._experiment_id, start_time=record.start_ms, tags=tags, run_name=record.name
        )
        return str(run.info.run_id)

    def describe_run(self, run_id: str, record: OpenRun) -> None:
        """Log a run's params and dataset."""
        entities = _mlflow().entities
        params = [entities.Param(key, value) for key, value in record.params.items()]
        for batch in _batches(params):
            self._client.log_batch(run_id, params=batch, synchronous=True)
        if record.dataset is not None:
            dataset = entities.Dataset(
                name=record.dataset.name,
                digest=record.dataset.digest,
                source_type="challenger-study",
                source=record.dataset.source,
            )
            context = [entities.InputTag("mlflow.data.context", "training")]
            self._client.log_inputs(run_id, [entities.DatasetInput(dataset, context)])

    def send(self, run_id: str | None, records: Sequence[MlflowRecord]) -> None:
        """Send one record of a run or the experiment (None), or several reports in one call.

        Sending them again changes nothing.
        """
        match records[0]:
            case LogMetrics():
                reports = [each for each in records if isinstance(each, LogMetrics)]
                self._log_points(run_id, reports)
            case LogArtifact() as record:
                if not Path(record.path).is_file():
                    raise FileNotFoundError(f"{record.path}: the artifact is no longer there")
                self._client.log_artifact(run_id, record.path, record.artifact_folder or None)
            case LogTable() as record:
                self._log_table(run_id, record)
            case SetTags() as record:
                self._set_tags(run_id, record.tags)
            case CloseRun() as record:
                self._set_tags(run_id, record.tags)
                self._client.set_terminated(run_id, record.status, record.end_ms)

    def _log_points(self, run_id: str | None, reports: Iterable[LogMetrics]) -> None:
        metric = _mlflow().entities.Metric
        points = [
            metric(key, value, report.time_ms, report.epoch)
            for report in reports
            for key, value in report.metrics.items()
        ]
        self._client.log_batch(run_id, metrics=points, synchronous=True)

    def _log_table(self, run_id: str | None, table: LogTable) -> None:
        # Not client.log_table: it appends to an existing table, so that sending it again
        # would double its rows. This replaces it and sets the same tag.
        self._client.log_text(run_id, table_json(table), table.name)
        tags = self._client.get_run(run_id).data.tags
        shown = json.loads(tags.get("mlflow.loggedArtifacts", "[]"))
        item = {"path": table.name, "type": "table"}
        if item in shown:
            return
        listed = json.dumps([*shown, item])
        # What is too much for the tag is still there, as a file.
        if len(listed) <= TAG_LENGTH:
            self._set_tags(run_id, {"mlflow.loggedArtifacts": listed})

    def _set_tags(self, run_id: str | None, tags: Mapping[str, str]) -> None:
        if run_id is None:
            for name, value in tags.items():
                text = value.replace(EXPERIMENT_ID, self._experiment_id)
                self._client.set_experiment_tag(self._experiment_id, name, text)
            return
        labels = [_mlflow().entities.RunTag(name, value) for name, value in tags.items()]
        for batch in _batches(labels):
            self._client.log_batch(run_id, tags=batch, synchronous=True)


def _batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for first in range(0, len(items), _PARAMS_PER_CALL):
        yield items[first : first + _PARAMS_PER_CALL]


def _mlflow() -> Any:  # noqa: ANN401 - MLflow has no usable types; the border is here
    """Import MLflow when it is first needed; its functions are not typed, which ends here."""
    return importlib.import_module("mlflow")
