#!/usr/bin/env bash
# Make this clone ready to run: programs, venv, locked dependencies, editable install, stubs.
# Safe to run again and beside itself; does only what is missing, and says each step in one line.
# Arguments: Debian packages that are good to have, such as valgrind, each with a program of its name.
set -euo pipefail
cd "$(dirname "$0")/.."

# None of these starts a daemon. mariadb-client has mariadb-dump and mariadb-binlog.
PACKAGES=(mariadb-server-core mariadb-client-core mariadb-client redis-tools)
PROGRAMS=(mariadbd mariadb-install-db mariadb mariadb-dump mariadb-binlog redis-check-rdb redis-cli)
PIP_TIMEOUT_SECONDS=120
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export UV_PYTHON_DOWNLOADS=never DEBIAN_FRONTEND=noninteractive

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

apt_install() {
    command -v apt-get >/dev/null || fail "apt-get is missing; install by hand: $*"
    [ "$(id -u)" = 0 ] || fail "not root; run: sudo apt-get install --no-install-recommends $*"
    say "apt-get install $*"
    apt-get update -qq </dev/null >/dev/null || fail "apt-get update failed"
    apt-get install -y -qq --no-install-recommends "$@" </dev/null >.tools/apt.log 2>&1 \
        || { tail -n 20 .tools/apt.log >&2; fail "apt-get install failed: $*"; }
}

have_programs() {
    local program
    for program in "${PROGRAMS[@]}"; do command -v "$program" >/dev/null || return 1; done
}

# A Python that is new enough and can make a venv (Debian splits that off into python3-venv). Debian's
# own comes first: it is built with profile-guided optimization, which others often are not, and runs
# a transfer's stages with a tenth fewer instructions (`make bench-count`).
find_python() {
    local candidate
    for candidate in ${GUILDER_PYTHON:-} /usr/bin/python3 python3 python3.11 python3.12 python3.13; do
        if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
            >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

make_venv() {
    local python version
    python=$(find_python) || { apt_install python3 python3-venv; python=$(find_python); } \
        || fail "no Python >= 3.11 here; set GUILDER_PYTHON to one"
    say "venv of $("$python" --version) in .venv"
    "$python" -m venv --clear .venv
    version=$(sed -n 's/^uv==\([^ ]*\).*/\1/p' requirements.lock)
    say "uv $version"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --timeout "$PIP_TIMEOUT_SECONDS" "uv==$version"
}

# The parts of an installation that can go stale; protos are compared by `make gen` itself.
fingerprint() { cat requirements.lock pyproject.toml hatch_build.py tools/setup.sh | sha256sum; }

mkdir -p .tools
exec 9>.tools/setup.lock
flock 9

for extra in "$@"; do
    command -v "$extra" >/dev/null || (apt_install "$extra") || say "going on without $extra"
done
have_programs || apt_install "${PACKAGES[@]}"
have_programs || fail "still missing after the installation: one of ${PROGRAMS[*]}"
if ! .venv/bin/python -c '' 2>/dev/null || [ ! -x .venv/bin/uv ]; then
    rm -f .venv/.installed
    make_venv
fi
if [ "$(cat .venv/.installed 2>/dev/null)" != "$(fingerprint)" ]; then
    say "dependencies of requirements.lock"
    .venv/bin/uv pip sync --quiet --python .venv/bin/python --require-hashes requirements.lock
    say "this clone, editable, with its stubs"
    .venv/bin/uv pip install --quiet --python .venv/bin/python \
        --no-deps --no-build-isolation --editable .
    fingerprint >.venv/.installed
fi
.venv/bin/python hatch_build.py >/dev/null
say "ready"
