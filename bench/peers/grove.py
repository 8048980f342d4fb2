"""Grove: its own Okta connector against the bench's vendor, gzipped files and a file cache, as it ships."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.remove(str(Path(__file__).parent))  # this file has the library's name


def main(port: str, directory: str) -> None:
    for name in ("cache", "config", "out"):
        Path(directory, name).mkdir(exist_ok=True)
        os.environ[f"GROVE_{'OUTPUT' if name == 'out' else name.upper()}_LOCAL_FILE_PATH"] = f"{directory}/{name}"
    for name in ("CACHE", "OUTPUT", "CONFIG"):
        os.environ[f"GROVE_{name}_HANDLER"] = "local_file"
    connector = {"name": "bench", "identity": "bench", "key": "k", "connector": "okta_system_log", "frequency": 0}
    Path(directory, "config", "okta.json").write_text(json.dumps(connector))
    from grove.connectors.okta import api

    api.API_BASE_URI = f"http://127.0.0.1:{port}/okta"
    from grove.entrypoints.local_process import entrypoint

    entrypoint()


if __name__ == "__main__":
    main(*sys.argv[1:])
