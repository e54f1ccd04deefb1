"""What type checkers are told of __init__.py, which imports each module at its first use."""

from tribrid.answers import answer as answer
from tribrid.answers import calibration as calibration
from tribrid.answers import changes as changes
from tribrid.answers import corpora as corpora
from tribrid.answers import costs as costs
from tribrid.answers import difference as difference
from tribrid.answers import documents as documents
from tribrid.answers import erasures as erasures
from tribrid.answers import evalsets as evalsets
from tribrid.answers import health as health
from tribrid.answers import judgments as judgments
from tribrid.answers import keys as keys
from tribrid.answers import logs as logs
from tribrid.answers import readiness as readiness
from tribrid.answers import report as report
from tribrid.answers import search as search
from tribrid.answers import settings as settings
