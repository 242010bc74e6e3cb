"""What runs: the command line, the listeners, the dispatcher, and the one place that builds them all."""

__version__ = "0.1.0"
