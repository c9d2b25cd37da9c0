#!/usr/bin/env bash
# What deploy/compose.yml needs of the upstream image's entry point: make the database once, as the account postgres, then be the server.
set -eu
if [ "$(id -u)" = 0 ]; then
    chown postgres: "$PGDATA" && chmod 0700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    : "${POSTGRES_PASSWORD_FILE:?must be set}"
    # shellcheck disable=SC2086  these are several words
    initdb --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" ${POSTGRES_INITDB_ARGS:-} > /dev/null
fi
exec "$@"
