"""roboscale: scale action data, and weigh robot policies on a scale that others can trust."""

__version__ = "0.1.0"
__all__ = ["__version__"]
