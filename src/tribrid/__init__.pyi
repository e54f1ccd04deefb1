"""What type checkers are told of __init__.py, which loads the library at its first use."""

from tribrid.app import Reranker as Reranker
from tribrid.app import Tribrid as Tribrid
from tribrid.app import compare as compare
from tribrid.version import __version__ as __version__

__all__ = ["Reranker", "Tribrid", "__version__", "compare"]
