"""Reads an exported folder as MLflow does, and says what it found as JSON."""

import json
import sys

from mlflow.tracking import MlflowClient

client = MlflowClient(tracking_uri=f"file://{sys.argv[1]}")
experiment = client.get_experiment_by_name(sys.argv[2])
runs = client.search_runs([experiment.experiment_id])
found = [
    {
        "name": run.info.run_name,
        "status": run.info.status,
        "seconds": (run.info.end_time - run.info.start_time) / 1000,
        "params": run.data.params,
        "metrics": run.data.metrics,
        "tags": run.data.tags,
        "losses": [
            [each.step, each.value]
            for each in client.get_metric_history(run.info.run_id, "loss")
        ],
    }
    for run in runs
]
sys.stdout.write(json.dumps(found))
