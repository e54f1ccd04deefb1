"""What type checkers are told of __init__.py, which loads the library at its first use."""

from tribrid.app import Tribrid as Tribrid
from tribrid.version import __version__ as __version__

__all__ = ["Tribrid", "__version__"]
