"""What a server process has done for the hits it was sent, in figures for Prometheus.

They are the process's own; where several share a port, PROMETHEUS_MULTIPROC_DIR names a folder in which all keep them.
"""

import os
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram

# The folder has to be there before the first figure is made, which may be before the settings are read.
if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    Path(folder).mkdir(parents=True, exist_ok=True)

TAKEN = "taken"
DENIED = "denied"

HITS = Counter(
    "humblytics_hits",
    "Hits by door (collect: browsers, api: the sites' servers) and outcome: taken, or why not.",
    ["door", "outcome"],
)
WAITING = Gauge("humblytics_hits_waiting", "Hits that wait for their commit.", multiprocess_mode="livesum")
BATCH_HITS = Histogram(
    "humblytics_batch_hits",
    "Hits written by one statement and one commit.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
)
COMMIT_SECONDS = Histogram(
    "humblytics_commit_seconds",
    "How long such a statement took, with its commit; those that failed included.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
