"""The ledger: what was asked and told, in the Optuna database, the one truth of a study.

Each arm has an Optuna study per phase, ``<study>/<arm>/search`` and ``<study>/<arm>/final``. A
trial is known by its number there, whichever process trains it, so that a driver that starts
again needs nothing but this database and the trials' folders.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from search_spaces import Design, ParamValue, Space
from search_spaces.optuna_space import DesignSampler, SamplerName, point, sampler, suggest
from study.errors import StoreError
from study.store.connection import connection_options
from study.store.ends import End, EndState
from study.store.folder import TrialKey
from study.tracking.address import masked
from study.trial_table import PhaseName
from study.trial_table import TrialState as StateName

# Optuna's own messages would interrupt the progress display, one per trial.
logging.getLogger("optuna").setLevel(logging.WARNING)

_BUSY_TIMEOUT_S = 60
_MADE_MEANWHILE = ("already exists", "UNIQUE constraint failed", "duplicate key value")
_TRIES = 5
_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One trial in the ledger.

    Attributes:
        key: Arm, phase and number.
        state: Where it stands.
        params: Its point; empty for a method without dimensions.
        value: Objective after the last epoch, or None.
        reason: Why it failed, or None.
        started_ms: When it was asked for, in milliseconds since 1970.
        finished_ms: When it was told, or None.
        replicas: How many replicas it trains; None if that is not known.
    """

    key: TrialKey
    state: StateName
    params: Mapping[str, ParamValue]
    value: float | None
    reason: str | None
    started_ms: int
    finished_ms: int | None
    replicas: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerSettings:
    """How a sampler proposes points.

    Attributes:
        name: Name of the sampler.
        seed: Seed; each trial's draws depend on it and on the number of trials before.
        startup_trials: Trials drawn at random before anything is modelled.
    """

    name: SamplerName
    seed: int
    startup_trials: int

    def proposer(self, space: Space, number: int) -> optuna.samplers.BaseSampler:  # noqa: ARG002
        """Make who proposes the trial of a number."""
        # A process that starts again goes on with fresh numbers instead of its first ones.
        return sampler(self.name, (self.seed + number) % 2**32, self.startup_trials)


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignSettings:
    """Which design's points are proposed.

    Attributes:
        design: The design.
        seed: Seed; a trial's point depends on it and on the trial's number alone.
    """

    design: Design
    seed: int

    def proposer(self, space: Space, number: int) -> optuna.samplers.BaseSampler:  # noqa: ARG002
        """Make who proposes the trial of a number."""
        return DesignSampler(self.design, space, self.seed)


ProposerSettings: TypeAlias = SamplerSettings | DesignSettings


class Ledger:
    """Asks, reports and tells; every call is in the database when it returns."""

    def __init__(self, url: str, study: str, *, maximise: bool, must_exist: bool = False) -> None:
        """Open a database.

        Args:
            url: SQLAlchemy URL; SQLite gets write-ahead logging.
            study: Name of the study.
            maximise: Direction of the objective.
            must_exist: Whether a missing SQLite file is an error rather than a new database.

        Raises:
            StoreError: If the database cannot be opened.
        """
        if must_exist:
            require_file(url)
        self._name = study
        self._direction: Literal["maximize", "minimize"] = "maximize" if maximise else "minimize"
        self._studies: dict[tuple[str, str], optuna.Study] = {}
        self._storage = _open(url)
        self._file = _DatabaseFile.of(url)

    def ask(
        self,
        arm: str,
        number: int,
        space: Space,
        settings: ProposerSettings,
        replicas: int | None = None,
    ) -> Entry:
        """Ask the sampler or design for an arm's search trial of a number.

        Asking for the same number again gives the same trial: a database that went away may have
        kept what it did not live to answer.

        Args:
            arm: Name of the arm.
            number: The trial's, one above the last one's.
            space: What is searched.
            settings: How points are proposed.
            replicas: How many replicas the trial is to train.

        Raises:
            StoreError: If the database's file was deleted or replaced meanwhile.
        """
        self._file.require_unchanged()
        study = self._study(arm, "search")
        study.sampler = settings.proposer(space, number)
        known = self._known(arm, "search", number)
        if known is not None and not _is_half_asked(known):
            return _entry(TrialKey(arm=arm, phase="search", number=number), known)
        # Optuna stores a trial first and then its parameters one by one.
        trial = study.ask() if known is None else optuna.Trial(study, known._trial_id)
        suggest(trial, space)
        started_ms = _now_ms()
        trial.set_user_attr("replicas", replicas)
        # Last of all: a trial without it was not wholly asked for.
        trial.set_user_attr("started_ms", started_ms)
        key = TrialKey(arm=arm, phase="search", number=trial.number)
        return _running(key, trial.params, started_ms, replicas)

    def ask_point(
        self,
        key: TrialKey,
        params: Mapping[str, ParamValue],
        space: Space,
        replicas: int | None = None,
    ) -> Entry:
        """Enter a trial at a point of its arm's space that was chosen beforehand.

        Entering the same number again gives the trial that is there, as :meth:`ask` does.

        Raises:
            StoreError: If the database's file was deleted or replaced meanwhile.
        """
        self._file.require_unchanged()
        known = self._known(key.arm, key.phase, key.number)
        if known is not None:
            return _entry(key, known)
        started_ms = _now_ms()
        template = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=dict(params),
            distributions=point(params, space.dimensions),
            user_attrs={"started_ms": started_ms, "replicas": replicas},
        )
        study_id = self._storage.get_study_id_from_name(self._study_name(key.arm, key.phase))
        self._storage.create_new_trial(study_id, template)
        return _running(key, params, started_ms, replicas)

    def report(self, key: TrialKey, epoch: int, value: float) -> None:
        """Store an intermediate objective; the same epoch again changes nothing.

        Raises:
            StoreError: If the database's file was deleted or replaced meanwhile.
        """
        self._file.require_unchanged()
        self._storage.set_trial_intermediate_value(self._trial_id(key), epoch, value)

    def tell(self, key: TrialKey, end: End) -> None:
        """Tell how a trial ended; the first end of a trial is kept.

        Raises:
            StoreError: If the database's file was deleted or replaced meanwhile.
        """
        self._file.require_unchanged()
        trial_id = self._trial_id(key)
        if self._storage.get_trial(trial_id).state.is_finished():
            return
        notes: dict[str, int | str] = {"finished_ms": end.finished_ms}
        if end.reason is not None:
            notes["reason"] = end.reason
        for name, note in notes.items():
            self._storage.set_trial_user_attr(trial_id, name, note)
        study = self._study(key.arm, key.phase)
        study.tell(key.number, end.value, state=_ENDS[end.state], skip_if_finished=True)

    def entries(self, arm: str, phase: PhaseName) -> list[Entry]:
        """Give all trials of an arm and phase by number."""
        trials = self._study(arm, phase).get_trials(deepcopy=False)
        return [
            _entry(TrialKey(arm=arm, phase=phase, number=trial.number), trial)
            for trial in trials
            if not _is_half_asked(trial)
        ]

    def _known(self, arm: str, phase: PhaseName, number: int) -> FrozenTrial | None:
        trials = self._study(arm, phase).get_trials(deepcopy=False)
        return trials[number] if number < len(trials) else None

    def _trial_id(self, key: TrialKey) -> int:
        study_id = self._storage.get_study_id_from_name(self._study_name(key.arm, key.phase))
        return self._storage.get_trial_id_from_study_id_trial_number(study_id, key.number)

    def _study_name(self, arm: str, phase: str) -> str:
        return f"{self._name}/{arm}/{phase}"

    def _study(self, arm: str, phase: str) -> optuna.Study:
        if (arm, phase) not in self._studies:
            self._studies[arm, phase] = optuna.create_study(
                storage=self._storage,
                study_name=self._study_name(arm, phase),
                direction=self._direction,
                load_if_exists=True,
            )
        return self._studies[arm, phase]


@dataclass(frozen=True, slots=True)
class _DatabaseFile:
    """The file that SQLite has open, if the database is one: deleted, it could still be written.

    Attributes:
        path: Where it is; None for a server.
        identity: Its device and number there.
    """

    path: Path | None
    identity: tuple[int, int] | None

    @classmethod
    def of(cls, url: str) -> _DatabaseFile:
        path = _file_of(url)
        return cls(path, None if path is None else _identity(path))

    def require_unchanged(self) -> None:
        if self.path is not None and _identity(self.path) != self.identity:
            raise StoreError(
                f"the Optuna database {self.path} must stay in its place while its study runs, "
                "but was deleted or replaced; put it back."
            )


def _file_of(url: str) -> Path | None:
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def require_file(url: str) -> None:
    """Make sure that a database that is a file is there; opening it would make it.

    Raises:
        StoreError: If it is not.
    """
    path = _file_of(url)
    if path is not None and not path.exists():
        raise StoreError(
            f"there is no Optuna database {path}; name the one that the study was run with, by "
            "--database or CHALLENGER_DATABASE."
        )


def sqlite_url(path: Path) -> str:
    """Give the URL of an SQLite file."""
    return f"sqlite:///{path}"


def _open(url: str) -> RDBStorage:
    options = {"connect_args": connection_options(url), "pool_pre_ping": True}
    if (path := _file_of(url)) is not None:
        _use_write_ahead_log(path)
    try:
        return _made(url, options)
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise StoreError(
            f"the Optuna database {masked(url)} cannot be opened: "
            f"{masked(reason)}; name another with --database."
        ) from None


def _made(url: str, options: Mapping[str, Any]) -> RDBStorage:
    """Open a database, in which another study may be making the same tables just now."""
    for _ in range(_TRIES - 1):
        try:
            return RDBStorage(url, engine_kwargs=dict(options))
        except Exception as error:
            # Each database has a word of its own for it, and Optuna wraps some.
            if not any(sign in str(error) for sign in _MADE_MEANWHILE):
                raise
        time.sleep(_PAUSE_S)
    return RDBStorage(url, engine_kwargs=dict(options))


def _use_write_ahead_log(path: Path) -> None:
    # Kept by the file: readers such as `status` then never wait for the writer.
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    except (sqlite3.Error, OSError) as error:
        raise StoreError(
            f"the Optuna database {path} cannot be opened: {error}; restore it, or name another "
            "with --database."
        ) from None


_STATES: Mapping[TrialState, StateName] = {
    TrialState.RUNNING: "RUNNING",
    TrialState.WAITING: "RUNNING",
    TrialState.COMPLETE: "COMPLETE",
    TrialState.PRUNED: "PRUNED",
    TrialState.FAIL: "FAIL",
}


_ENDS: Mapping[EndState, TrialState] = {
    "COMPLETE": TrialState.COMPLETE,
    "PRUNED": TrialState.PRUNED,
    "FAIL": TrialState.FAIL,
}


def _is_half_asked(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.RUNNING and "started_ms" not in trial.user_attrs


def _running(
    key: TrialKey, params: Mapping[str, ParamValue], started_ms: int, replicas: int | None
) -> Entry:
    return Entry(
        key=key,
        state="RUNNING",
        params=dict(params),
        value=None,
        reason=None,
        started_ms=started_ms,
        finished_ms=None,
        replicas=replicas,
    )


def _entry(key: TrialKey, trial: FrozenTrial) -> Entry:
    notes = trial.user_attrs
    is_over = trial.state.is_finished()
    return Entry(
        key=key,
        state=_STATES[trial.state],
        params=trial.params,
        value=trial.value if trial.state == TrialState.COMPLETE else None,
        reason=notes.get("reason") if trial.state == TrialState.FAIL else None,
        # Optuna's own times are local, without their zone.
        started_ms=notes.get("started_ms", 0),
        finished_ms=notes.get("finished_ms") if is_over else None,
        replicas=notes.get("replicas"),
    )


def _now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)
