"""Mode cloud: rerank services over HTTP, chosen by settings, paid from a budget. `Clouds` is the way in."""

from tribrid.cloud.clouds import Arm, Clouds
from tribrid.cloud.purse import bills, with_services

__all__ = ["Arm", "Clouds", "bills", "with_services"]
