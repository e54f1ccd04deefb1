"""Mode cloud: rerank services over HTTP, chosen by settings, paid from a budget. `Clouds` is the way in.

clouds.py decides which service may be asked and with which key, purse.py what it may cost. How a service is asked
stands in scoring/cloud.py and scoring/dialects.py.
"""

from tribrid.cloud.clouds import Arm, Clouds
from tribrid.cloud.purse import bills, with_services

__all__ = ["Arm", "Clouds", "bills", "with_services"]
