#!/bin/sh
# Install the main environment, locked and hash-checked: requirements/install.sh VENV [PYTHON]
# Any Python from 3.8 on can install uv. The environment gets PYTHON, or the first Python 3.11 or
# 3.12 that is found, or a Python 3.12 that uv downloads.
set -eu
cd "$(dirname "$0")/.."
venv=$1
python=${2-}
uv=.venv-uv/bin/uv

fail() {
  echo "error: $1" >&2
  exit 2
}

find_python() {
  sh requirements/find-python.sh "$1"
}

install_uv() {
  modules='__import__("ensurepip") and __import__("venv")'
  if [ -n "$python" ] && "$python" -c "$modules" >/dev/null 2>&1; then
    installer=$python
  elif ! installer=$(find_python "sys.version_info >= (3, 8) and $modules"); then
    if bare=$(find_python 'sys.version_info >= (3, 8)'); then
      package=$("$bare" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
      fail "$bare has no venv and pip — install them (Debian, Ubuntu: sudo apt install $package), then run this again"
    elif old=$(find_python 'sys.version_info >= (3,)'); then
      fail "$old is $("$old" --version 2>&1), too old to install uv — install Python 3.8 or newer, or: make PYTHON=/path/to/python3.11"
    fi
    fail "no Python 3 was found — install one (Debian, Ubuntu: sudo apt install python3 python3-venv), or: make PYTHON=/path/to/python3.11"
  fi
  "$installer" -m venv --clear .venv-uv
  # Before 24.2, pip trusts only the certificates that it brings along, not a company's.
  if [ -z "${PIP_CERT-}${REQUESTS_CA_BUNDLE-}${CURL_CA_BUNDLE-}" ] && ! .venv-uv/bin/python -m pip config get global.cert >/dev/null 2>&1; then
    PIP_CERT=$("$installer" -c 'import ssl; paths = ssl.get_default_verify_paths(); print(paths.cafile or paths.capath or "")')
    [ -z "$PIP_CERT" ] || export PIP_CERT
  fi
  .venv-uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt ||
    fail "pip can't install uv; its reason is above — without a direct connection set HTTPS_PROXY, or PIP_INDEX_URL and UV_DEFAULT_INDEX to a mirror"
  touch .venv-uv/.ready
}

if [ -n "$python" ]; then
  chosen=$python
  python=$("$chosen" -c 'import sys; print(sys.executable); sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null) ||
    fail "PYTHON=$chosen is not a Python 3.11 or 3.12 — without PYTHON one is found, or downloaded"
elif ! python=$(find_python 'sys.version_info[:2] == (3, 11)'); then
  python=$(find_python 'sys.version_info[:2] == (3, 12)') || python=
fi

# uv needs no Python to run, so it outlives the one that installed it.
if [ ! .venv-uv/.ready -nt requirements/uv.txt ] || ! $uv --version >/dev/null 2>&1; then
  install_uv
fi
echo "Installing the main environment (locked, hash-checked) with ${python:-Python 3.12, which uv downloads}"
if [ ! -x "$venv/bin/python" ]; then
  if [ -n "$python" ]; then
    $uv venv --quiet --clear --python "$python" "$venv"
  elif ! said=$($uv venv --quiet --clear --managed-python --python 3.12 "$venv" 2>&1); then
    # The first line says what failed, the last one why.
    reason=$(echo "$said" | awk 'sub(/^ *(error|cause): */, "") {last = $0; if (!count++) first = $0} END {print first (count > 1 ? ": " last : "")}')
    fail "no Python 3.11 or 3.12 was found, and uv can't download 3.12: ${reason:-$said} — install one, or: make PYTHON=/path/to/python3.11, or set UV_PYTHON_INSTALL_MIRROR to a mirror"
  fi
fi
$uv pip sync --quiet --python "$venv/bin/python" --require-hashes requirements/main.txt
$uv pip install --quiet --python "$venv/bin/python" --no-build-isolation --no-deps --editable .
touch "$venv/.ready"
