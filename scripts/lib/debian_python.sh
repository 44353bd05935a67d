# Unpacks Python 3.14 from Debian testing into a private folder; the system is not changed.
# Usage: debian_python FOLDER TOOLS   (TOOLS/bin contains patchelf). Creates FOLDER/usr/bin/python3.14.

DEBIAN_PACKAGES="libc6 libgcc-s1 libstdc++6 libpython3.14-minimal libpython3.14-stdlib
  python3.14-minimal python3.14 python3.14-dev libpython3.14-dev libssl3t64 libsqlite3-0 libffi8
  libexpat1 zlib1g libbz2-1.0 liblzma5 libzstd1 libncursesw6 libtinfo6 libreadline8t64 libuuid1"

# apt with a private configuration, so that it works without root.
private_apt() {
  local apt=$1 tool=$2
  shift 2
  "$tool" -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User="$(id -un)" \
    -o Acquire::Languages=none -qq "$@"
}

download_packages() {
  local apt=$1 mirror
  mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -m1 '/debian/*$') || return 1
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/deb"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror forky main" >"$apt/sources.list"
  private_apt "$apt" apt-get update || return 1
  # shellcheck disable=SC2086
  (cd "$apt/deb" && private_apt "$apt" apt-get download $DEBIAN_PACKAGES)
}

# Makes the interpreter use the unpacked loader and libraries instead of the system's.
patch_interpreter() {
  local root=$1 patchelf=$2 libraries
  libraries=$root/usr/lib/x86_64-linux-gnu
  "$patchelf" --set-interpreter "$libraries/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$libraries" \
    "$root/usr/bin/python3.14"
  ln -sfn ../x86_64-linux-gnu "$root/usr/include/python3.14/x86_64-linux-gnu"
}

debian_python() {
  local root=$1 tools=$2 apt package
  [ "$(uname -m)" = x86_64 ] && command -v apt-get >/dev/null && command -v dpkg >/dev/null || return 1
  apt=$(mktemp -d) || return 1
  download_packages "$apt" || { rm -rf "$apt"; return 1; }
  rm -rf "$root" && mkdir -p "$root"
  for package in "$apt"/deb/*.deb; do dpkg -x "$package" "$root" || return 1; done
  rm -rf "$apt"
  patch_interpreter "$root" "$tools/bin/patchelf"
}
