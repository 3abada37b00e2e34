#!/usr/bin/env bash
#
# Removes what install_deno installed in the project, and nothing else: a Deno from elsewhere stays, and Deno's cache in
# the home directory, which other projects share.

set -u
project=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P) || exit 1
home=$project/.deno

if [ ! -e "$home" ] && [ ! -L "$home" ]; then
  echo "remove_deno: there is no Deno of this project in $home"
  exit 0
fi
rm -rf -- "$home/bin/deno" "$home/lock" "$home"/tmp.* || exit 1
rmdir -- "$home/bin" 2>/dev/null
if rmdir -- "$home" 2>/dev/null; then
  echo "remove_deno: removed $home"
else
  echo "remove_deno: removed $home/bin/deno; kept the rest of $home, which install_deno did not put there"
fi
echo "remove_deno: a shell that sourced install_deno still names $home/bin in PATH; a new shell does not"
