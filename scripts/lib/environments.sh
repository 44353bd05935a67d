# Builds an environment from a requirements file, once per content of that file. Sourced by scripts/bootstrap.

environment() {
  local folder=$1 wanted=$2 stamp
  stamp=$(cksum <"$wanted")
  if [ "$(cat "$folder/.stamp" 2>/dev/null)" = "$stamp" ] && is_wanted "$folder/bin/python"; then return; fi
  [ -n "${UV:-}" ] && [ -n "${PYTHON:-}" ] || find_python
  say "making $folder with $("$PYTHON" --version) from $wanted"
  "$UV" venv --quiet --clear --python "$PYTHON" "$folder"
  "$UV" pip install --quiet --link-mode copy --python "$folder/bin/python" --requirement "$wanted" ||
    die "$wanted could not be installed; the lines above say why."
  echo "$stamp" >"$folder/.stamp"
}

# Two small libraries that Home Assistant's frontend needs have no ready build: they are compiled.
compiler() {
  command -v g++ >/dev/null && return
  install_packages g++
  command -v g++ >/dev/null || die "a C++ compiler is needed for the development server: install g++ and try again."
}

install_packages() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
  say "installing $*"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "$@" >/dev/null 2>&1 || true
}

find_browser() {
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" && return
  done
  return 1
}

# Chromium for the tests in a browser: installed where we may, and where not, said.
browser() {
  find_browser >/dev/null && return
  install_packages chromium fonts-dejavu-core
  find_browser >/dev/null || say "no Chromium here and none can be installed: the tests in a browser will be left out"
}
