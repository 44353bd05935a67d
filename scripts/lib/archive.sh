#!/usr/bin/env bash
# Builds bticino_classe.zip, which HACS unpacks, from the commit that is checked out. Run from the root.
# Usage: scripts/lib/archive.sh VERSION   (the release's tag; it has to be the manifest's version)
set -euo pipefail
folder=custom_components/bticino_classe

die() { printf 'archive: %s\n' "$*" >&2; exit 1; }

[ $# = 1 ] || die "name the version: scripts/lib/archive.sh 1.2.3"
version=$(git show "HEAD:$folder/manifest.json" | sed -n 's/.*"version": *"\([^"]*\)".*/\1/p')
[ "$1" = "$version" ] || die "the tag is $1, the manifest's version $version: they have to be the same."
heading=$(git show HEAD:CHANGELOG.md | grep -m1 "^## ") || die "CHANGELOG.md has no version."
[[ $heading == "## $version ("????-??-??")" ]] || die "CHANGELOG.md begins with '$heading', not '## $version (year-month-day)'."
# Only what is committed, and without its folders: HACS unpacks it into custom_components/bticino_classe.
git archive --format=zip --output=bticino_classe.zip "HEAD:$folder"
echo "archive: bticino_classe.zip, version $version"
