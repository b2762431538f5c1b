"""Named streams of one seed: a part that is added never shifts what the others draw.

Only `random.Random.random()` is used underneath, whose sequence Python keeps stable across
versions; distributions are inverse transforms of it (see `hwsim.distributions`).
"""

from __future__ import annotations

import hashlib
import random


def stream(seed: int, *name: str | int) -> random.Random:
    """Return the random stream that *seed* and *name* determine, the same in every process and Python version."""
    digest = hashlib.sha256("\x1f".join([str(seed), *map(str, name)]).encode()).digest()
    return random.Random(int.from_bytes(digest[:16], "big"))
