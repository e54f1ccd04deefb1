"""Mode cloud: rerank services over HTTP, chosen by settings, paid from a budget. `Clouds` is the way in."""

from tribrid.cloud.purse import with_services
from tribrid.cloud.services import Arm, CloudArms, Clouds

__all__ = ["Arm", "CloudArms", "Clouds", "with_services"]
