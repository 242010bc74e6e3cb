#!/bin/sh
# The operator's `tocsin`: the service's own program, with the service's configuration. Root becomes the service's user
# first, as a store written by root would be out of the service's reach, and hands it the credentials meanwhile, whether
# the service runs or not.
set -eu
program=/opt/tocsin/venv/bin/tocsin
secrets=/etc/tocsin/credentials
export TOCSIN_CONFIG="${TOCSIN_CONFIG:-/etc/tocsin/tocsin.toml}"

[ "$(id -u)" = 0 ] || exec "$program" "$@"

CREDENTIALS_DIRECTORY=$(mktemp -d /run/tocsin-credentials.XXXXXX)
export CREDENTIALS_DIRECTORY
trap 'rm -rf "$CREDENTIALS_DIRECTORY"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
umask 077
for secret in "$secrets"/*; do
  name=$(basename "$secret" .cred)
  case $secret in
    *.cred) systemd-creds decrypt --name="$name" "$secret" "$CREDENTIALS_DIRECTORY/$name" ;;
    *) [ ! -f "$secret" ] || cp "$secret" "$CREDENTIALS_DIRECTORY/$name" ;;
  esac
done
chown -R tocsin: "$CREDENTIALS_DIRECTORY"
umask 077
setpriv --reuid=tocsin --regid=tocsin --init-groups --no-new-privs "$program" "$@"
