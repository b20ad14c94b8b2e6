#!/bin/bash
# Starts the image's own entrypoint with a key file: a replica set with authentication refuses to start without one.
# The key is made here, so that none is kept in the repository, and stays in the volume. The entrypoint gives the folder to
# the user mongodb before it drops to that user; mongod wants 6 to 1024 characters of base64, readable by its owner only.
set -euo pipefail

key=${KEY_FILE:-/data/configdb/replica-set.key}
if [ ! -s "$key" ]; then
  (umask 077 && head -c 512 /dev/urandom | base64 -w 0 > "$key")
fi

exec docker-entrypoint.sh "$@" --keyFile "$key"
