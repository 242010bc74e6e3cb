#!/bin/sh
# The operator's `tocsin`: the service's own program, with its configuration and, while it runs, its credentials. Root
# becomes the service's user first, as a store written by root would be out of the service's reach.
set -eu
program=/opt/tocsin/venv/bin/tocsin
TOCSIN_CONFIG=${TOCSIN_CONFIG:-/etc/tocsin/tocsin.toml}
export TOCSIN_CONFIG
if [ -d /run/credentials/tocsin.service ]; then
  CREDENTIALS_DIRECTORY=/run/credentials/tocsin.service
  export CREDENTIALS_DIRECTORY
fi
if [ "$(id -u)" = 0 ]; then
  exec setpriv --reuid=tocsin --regid=tocsin --init-groups --no-new-privs "$program" "$@"
fi
exec "$program" "$@"
