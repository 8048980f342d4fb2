#!/bin/sh
# Both ways of naming the command work: `flicker -c …` (compose's `command:`) and `-c …` alone (Kubernetes' `args:`).
# Any other program that exists is run as it is: `docker run -it flicker sh`.
set -eu

case "${1-}" in
  '' | -*) set -- flicker "$@" ;;
  *)
    # A subcommand such as `health` or `demo` is no program in this image.
    command -v -- "$1" >/dev/null 2>&1 || set -- flicker "$@"
    ;;
esac
exec "$@"
