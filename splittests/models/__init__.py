from splittests.models.definitions import Metric, Pause, SplitTest, Variant, new_secret
from splittests.models.exposures import Exposed
from splittests.models.words import Goal, Kind, StartedError, State

__all__ = [
    "Exposed",
    "Goal",
    "Kind",
    "Metric",
    "Pause",
    "SplitTest",
    "StartedError",
    "State",
    "Variant",
    "new_secret",
]
