"""The ways out. Each is two verbs and the contract in `base.py`."""
