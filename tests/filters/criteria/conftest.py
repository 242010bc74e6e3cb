"""What the tests of filters share is in `tried`, a module of this folder; it is imported from here."""

from __future__ import annotations

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
