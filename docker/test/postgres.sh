#!/bin/sh
# What the official image's entry point does with POSTGRES_USER, POSTGRES_DB and POSTGRES_PASSWORD, and no more.
set -eu
as_postgres() { setpriv --reuid postgres --regid postgres --init-groups "$@"; }
install -d -o postgres -g postgres -m 700 "$PGDATA"
install -d -o postgres -g postgres /var/run/postgresql
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    secret=$(mktemp)
    printf '%s\n' "$POSTGRES_PASSWORD" > "$secret"
    chown postgres "$secret"
    as_postgres initdb -U "$POSTGRES_USER" --pwfile "$secret" --encoding UTF8 --locale C.UTF-8 --auth-local trust --auth-host scram-sha-256
    rm "$secret"
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    echo "CREATE DATABASE \"$POSTGRES_DB\"" | as_postgres postgres --single -D "$PGDATA" postgres
fi
exec setpriv --reuid postgres --regid postgres --init-groups postgres -c listen_addresses='*'
