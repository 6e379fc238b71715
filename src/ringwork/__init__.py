"""An ad platform with exact money: one event log from which every figure can be recomputed.

Importing this package loads nothing; take what you need from its sub-packages, of which
``ringwork.kernel`` is the ground and ``ringwork.app`` the composed platform.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
