#!/bin/sh
# Installs the servers that the tests talk to. Debian's packages only; nothing is started, no database cluster is made.
set -eu
packages=""
need() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || packages="$packages $2"; }
need prometheus prometheus
need prometheus-node-exporter prometheus-node-exporter
need victoria-metrics victoria-metrics
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || packages="$packages postgresql"
command -v openssl >/dev/null 2>&1 || packages="$packages openssl"
[ -n "$packages" ] || exit 0

line="apt-get install -y --no-install-recommends$packages"
if [ "$(id -u)" = 0 ]; then root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then root="sudo"
else
    echo "The tests need servers that are not installed. As root, run:" >&2
    echo "    $line" >&2
    exit 1
fi
as_root() { if [ -n "$root" ]; then sudo "$@"; else "$@"; fi; }

# A package must neither start its server nor make a database cluster here.
made_policy="" made_cluster=""
undo() {
    [ -z "$made_policy" ] || as_root rm -f /usr/sbin/policy-rc.d
    [ -z "$made_cluster" ] || as_root rm -f /etc/postgresql-common/createcluster.conf
}
trap undo EXIT
trap 'exit 1' INT TERM
if [ ! -e /usr/sbin/policy-rc.d ]; then
    made_policy=1
    printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null
    as_root chmod +x /usr/sbin/policy-rc.d
fi
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    as_root mkdir -p /etc/postgresql-common
    made_cluster=1
    echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
fi
as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
# Another installation may hold the lock; the configuration file above would make dpkg ask, so it keeps ours.
as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
    -o Dpkg::Options::=--force-confold install -y -qq --no-install-recommends $packages >/dev/null
