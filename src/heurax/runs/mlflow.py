"""MLflow as a tracker: our one door to it."""

import contextlib
import importlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from heurax.errors import HeuraxError
from heurax.files import disk_errors, write_text
from heurax.runs.tracking import Tracker, Tracking

__all__ = ["MLflow"]


@dataclass(frozen=True)
class MLflow(Tracking):
    """MLflow. Needs the package `mlflow-skinny`, or the whole of `mlflow`.

    A run that is resumed goes on as the same run there. Records after its checkpoint come a second time, with the same
    numbers; those that MLflow has are not sent again. MLflow's own reports of use are off unless
    `MLFLOW_DISABLE_TELEMETRY` says otherwise.

    Args:
        uri: of the store, such as `http://host:5000` or `sqlite:////path/to/shared.db`; null for `mlflow/mlflow.db` in
            the run directory, which needs no network. Trials that run side by side want a server or their own stores.
        experiment: that the run belongs to; made if it is not there.
        name: of the run; null for that of its directory.
        tags: of the run.
    """

    uri: str | None = None
    experiment: str = "heurax"
    name: str | None = None
    tags: dict[str, str] = field(default_factory=dict, hash=False)

    def open(self, run_dir: Path, config_text: str, resume_step: int) -> Tracker:
        """See `Tracking.open`."""
        del resume_step  # unused: what the store has is asked of the store
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        for package in ("mlflow", "sqlalchemy", "alembic"):  # mlflow-skinny leaves out what its stores on disk need
            try:
                importlib.import_module(package)
            except ImportError as error:
                hint = "pip install 'heurax[mlflow]'"
                raise HeuraxError(f"tracking by MLflow needs the package {package}: {hint}") from error
        from mlflow import MlflowClient

        directory = run_dir.resolve() / "mlflow"
        with disk_errors(directory):
            directory.mkdir(exist_ok=True)
        uri = self.uri or f"sqlite:///{directory / 'mlflow.db'}"
        identity = directory / "run_id"
        with _service_errors():
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            if identity.is_file():
                run_id = identity.read_text()
                client.update_run(run_id, status="RUNNING")
            else:
                name = self.name or run_dir.resolve().name
                run_id = client.create_run(self._experiment_id(client), run_name=name, tags=self.tags).info.run_id
                _log_params(client, run_id, config_text)
                write_text(identity, run_id)
            logged = {
                metric: max(point.step for point in client.get_metric_history(run_id, metric))
                for metric in client.get_run(run_id).data.metrics
            }
        return MLflowTracker(client, run_id, logged)

    def _experiment_id(self, client: Any) -> str:
        """Of the experiment, which another run may be making at the same time."""
        from mlflow.exceptions import MlflowException

        found = client.get_experiment_by_name(self.experiment)
        if found is not None:
            return found.experiment_id
        try:
            return client.create_experiment(self.experiment)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return client.get_experiment_by_name(self.experiment).experiment_id


class MLflowTracker(Tracker):
    """Logs records to a run of MLflow.

    Args:
        client: of its store.
        run_id: of the run.
        logged: the last step that the store has of each metric.
    """

    def __init__(self, client: Any, run_id: str, logged: dict[str, int]) -> None:
        self._client, self._run_id, self._logged = client, run_id, logged

    def log(self, step: int, record: dict[str, float]) -> None:
        """See `Tracker.log`."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        new = [Metric(n, v, now, step) for n, v in record.items() if step > self._logged.get(n, -1)]
        if new:
            with _service_errors():
                self._client.log_batch(self._run_id, metrics=new)

    def close(self) -> None:
        """See `Tracker.close`."""
        with _service_errors():
            self._client.set_terminated(self._run_id)


def _log_params(client: Any, run_id: str, config_text: str) -> None:
    """The config's fields by dotted names, as many at once as MLflow takes."""
    from mlflow.entities import Param

    params = [Param(name, str(value)) for name, value in _leaves(yaml.safe_load(config_text), "")]
    for start in range(0, len(params), 100):
        client.log_batch(run_id, params=params[start : start + 100])


def _leaves(node: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict | list) and node:
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _leaves(child, f"{name}.{key}" if name else str(key))
    else:
        yield name, node


@contextlib.contextmanager
def _service_errors() -> Iterator[None]:
    """Turn what MLflow raises into one sentence."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise HeuraxError(f"MLflow cannot be used: {str(error).strip().splitlines()[0]}") from error
