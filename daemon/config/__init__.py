"""The configuration: one TOML file in, checked values out, or every fault with its key."""

from daemon.config.changes import Changes, compare
from daemon.config.faults import ConfigurationError, Fault
from daemon.config.loading import Configuration, find, load
from daemon.config.values import Address

__all__ = ["Address", "Changes", "Configuration", "ConfigurationError", "Fault", "compare", "find", "load"]
