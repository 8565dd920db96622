#!/bin/sh
# What all images share below their libraries: an unprivileged user, its folders, and nothing that installs or compiles.
set -eu
if getent passwd 1000 >/dev/null; then userdel "$(getent passwd 1000 | cut -d: -f1)"; fi  # Ubuntu has one
groupadd --gid 1000 frigo
useradd --uid 1000 --gid 1000 --home-dir /data --no-create-home --shell /usr/sbin/nologin frigo
install -d -o frigo -g frigo /data /data/tmp /models /logs
if command -v python3 >/dev/null; then
    libraries=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
    rm -rf "$libraries"/ensurepip "$libraries"/idlelib "$libraries"/lib2to3 "$libraries"/pydoc_data "$libraries"/test \
        "$libraries"/tkinter "$libraries"/turtledemo "$libraries"/config-* "$libraries"/site-packages/* \
        /usr/local/bin/pip* /usr/local/bin/idle* /usr/local/bin/2to3* /usr/local/bin/pydoc*
    # Where a compiler was wanted, so are Python's headers.
    command -v gcc >/dev/null || rm -rf /usr/local/include
fi
if command -v dpkg >/dev/null; then
    # Nothing is installed in a container, and no Perl is run: the packager's list of what is there stays right.
    dpkg --purge --force-remove-essential --force-remove-protected --force-depends apt perl-base >/dev/null 2>&1
    rm -rf /usr/lib/*/gconv
fi
rm -rf /root/.cache /root/.npm /tmp/* /usr/share/doc/* /usr/share/man/* /var/cache/* /var/lib/apt/lists/* /var/log/*
