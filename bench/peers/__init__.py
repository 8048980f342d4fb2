"""The rivals, each a script that runs in a virtual environment of its own (`.venv-bench/<name>`, made by `make bench`)."""
