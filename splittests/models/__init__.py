from splittests.models.definitions import Metric, Pause, SplitTest, Variant, new_secret
from splittests.models.exposures import GOAL, Audience, Converted, Exposed
from splittests.models.words import Goal, Kind, StartedError, State

__all__ = [
    "GOAL",
    "Audience",
    "Converted",
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
