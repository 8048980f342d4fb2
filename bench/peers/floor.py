"""The floor: a session, every event parsed and written again, to a plain file. No state, no ledger, no SIEM.

`floor.py <vendor port> <directory>`; so are the other scripts of this folder. `directory/out` is for their output.
"""

from __future__ import annotations

import sys

import orjson
import requests


def main(port: str, directory: str) -> None:
    url = f"http://127.0.0.1:{port}/events?limit=1000"
    with requests.Session() as session, open(f"{directory}/out/events.jsonl", "wb") as file:
        cursor = None
        while True:
            page = orjson.loads(session.get(url, params={"cursor": cursor} if cursor else None, timeout=60).content)
            file.writelines(orjson.dumps(event) + b"\n" for event in page["data"])
            cursor = page["meta"]["next_cursor"]
            if cursor is None:
                return


if __name__ == "__main__":
    main(*sys.argv[1:])
