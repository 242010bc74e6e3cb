"""The corpus is a package of this folder; it is imported from here and by the benchmark alike."""

from __future__ import annotations

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
