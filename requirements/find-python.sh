#!/bin/sh
# Print the path of the first Python that meets a condition, a Python expression:
#   requirements/find-python.sh 'sys.version_info[:2] == (3, 12)'
# Every candidate is run: pyenv puts names on the PATH for versions that aren't selected.
set -f
IFS=:
set -- "$1" $PATH
IFS='
'
set +f
condition=$1
shift
for folder in "$@" "${PYENV_ROOT:-${HOME-}/.pyenv}"/versions/*/bin; do
  for python in "$folder"/python3 "$folder"/python3.[0-9] "$folder"/python3.[0-9][0-9] "$folder"/python; do
    if [ -x "$python" ]; then
      found=$("$python" -c "import sys; print(sys.executable) if $condition else sys.exit(1)" 2>/dev/null) &&
        { printf '%s\n' "$found"; exit 0; }
    fi
  done
done
exit 1
