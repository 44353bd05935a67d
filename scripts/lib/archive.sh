#!/usr/bin/env bash
# Builds bticino_classe.zip, which HACS installs, from the checked-out commit. Run from the root.
# Usage: scripts/lib/archive.sh VERSION   (the tag of the release, equal to the version in manifest.json)
set -euo pipefail
folder=custom_components/bticino_classe

die() { printf 'archive: %s\n' "$*" >&2; exit 1; }

[ $# = 1 ] || die "usage: scripts/lib/archive.sh VERSION"
version=$(git show "HEAD:$folder/manifest.json" | sed -n 's/.*"version": *"\([^"]*\)".*/\1/p')
[ "$1" = "$version" ] || die "the tag is $1, but the version in manifest.json is $version; they have to be the same."
heading=$(git show HEAD:CHANGELOG.md | grep -m1 "^## ") || die "CHANGELOG.md has no version heading."
[[ $heading == "## $version ("????-??-??")" ]] || die "CHANGELOG.md begins with '$heading', not '## $version (year-month-day)'."
git show "HEAD:$folder/manifest.json" | tr -d ' \n' | grep -q '"codeowners":\["@' ||
  die "manifest.json has no code owner; see docs/contributing.md."
# Only committed files, with paths relative to $folder: HACS unpacks them into that folder.
git archive --format=zip --output=bticino_classe.zip "HEAD:$folder"
echo "archive: bticino_classe.zip, version $version"
