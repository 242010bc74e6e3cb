"""The configuration: one TOML file in, checked values out, or every fault with its key."""

from daemon.config.changes import Changes, compare, restarts
from daemon.config.faults import ConfigError, Fault
from daemon.config.loading import Config, find, load
from daemon.config.values import Address, Networks

__all__ = ["Address", "Changes", "Config", "ConfigError", "Fault", "Networks", "compare", "find", "load", "restarts"]
