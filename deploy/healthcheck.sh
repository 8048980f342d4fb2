#!/bin/sh
# Is the Flicker of this container ready? The web UI says so at once; without it (--no-ui, another --port) the daemons'
# heartbeats are looked up.
python3 -c '
import http.client, os, sys
try:
    ui = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("FLICKER_PORT") or 3000), timeout=10)
    ui.request("GET", "/readyz")
    sys.exit(ui.getresponse().status != 200)
except OSError:
    sys.exit(1)
' || exec flicker health
