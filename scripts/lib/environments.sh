# Builds virtual environments from requirements files; rebuilds them when a file changes. Sourced by scripts/bootstrap.

GSTREAMER_PACKAGES="python3-gi gir1.2-gst-plugins-bad-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good
  gstreamer1.0-plugins-bad gstreamer1.0-nice gstreamer1.0-libav"

environment() {
  local folder=$1 requirements=$2 stamp
  stamp=$(cksum <"$requirements")
  if [ "$(cat "$folder/.stamp" 2>/dev/null)" = "$stamp" ] && is_supported "$folder/bin/python"; then return; fi
  [ -n "${UV:-}" ] && [ -n "${PYTHON:-}" ] || find_python
  say "creating $folder with $("$PYTHON" --version) from $requirements"
  "$UV" venv --quiet --clear --python "$PYTHON" "$folder"
  "$UV" pip install --quiet --link-mode copy --python "$folder/bin/python" --requirement "$requirements" ||
    die "could not install $requirements; see the errors above."
  echo "$stamp" >"$folder/.stamp"
}

# Two small libraries that Home Assistant's frontend needs have no wheels and are compiled.
compiler() {
  command -v g++ >/dev/null && return
  install_packages g++
  command -v g++ >/dev/null || die "the development server needs a C++ compiler: install g++ and try again."
}

# Asks whether to go on; without a terminal, only --yes or CI count.
is_confirmed() {
  local answer
  case "${ASSUME_YES:-}" in ""|0|false) ;; *) return 0 ;; esac
  if ! [ -t 0 ]; then say "not installed without a confirmation: use scripts/bootstrap --yes"; return 1; fi
  read -r -p "bootstrap: install them? [y/N] " answer && [[ $answer == [yY] || $answer == [yY]es ]]
}

install_packages() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
  say "these packages, and what they need, are going to be installed as root with apt-get: $*"
  is_confirmed || return 0
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "$@" >/dev/null 2>&1 || true
}

find_browser() {
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" && return
  done
  return 1
}

has_firefox() {
  command -v firefox-esr >/dev/null || command -v firefox >/dev/null
}

has_gstreamer() {
  local status=0
  /usr/bin/python3 dev/gstreamer_player.py >/dev/null 2>&1 || status=$?
  [ "$status" = 1 ] # only the arguments are missing
}

# Installs the browsers and the player of the browser tests if possible, and warns otherwise.
# Firefox decodes H.264 with the library that gstreamer1.0-libav needs.
browser() {
  find_browser >/dev/null || install_packages chromium fonts-dejavu-core
  find_browser >/dev/null || say "Chromium is missing and cannot be installed: most browser tests will be skipped"
  has_firefox || install_packages firefox-esr
  has_firefox || say "Firefox is missing and cannot be installed: its tests will be skipped"
  # shellcheck disable=SC2086
  has_gstreamer || install_packages $GSTREAMER_PACKAGES
  has_gstreamer || say "GStreamer is missing and cannot be installed: its test will be skipped"
}
