"""For all tests: how many inputs a property test tries.

`make test` keeps Hypothesis's usual budget; `make fuzz` sets FLICKER_FUZZ_EXAMPLES and runs the tests marked `fuzz`.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile("usual", deadline=None)
settings.register_profile(
    "fuzz",
    deadline=None,
    max_examples=int(os.environ.get("FLICKER_FUZZ_EXAMPLES", "20000")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("fuzz" if "FLICKER_FUZZ_EXAMPLES" in os.environ else "usual")
