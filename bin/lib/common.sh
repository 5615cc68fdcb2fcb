# Sourced by everything in bin/. Brings along what is missing, in order, each only when it is: a Node, the packages, the
# generated database types, the build. All output goes to stderr, so that `bin/synap --json` stays clean.
# Plain bash 3.2: macOS has no newer one.

set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
# Wherever the command is called from, there is one place for data.
export SYNAP_DIR="${SYNAP_DIR:-$ROOT/.synap}"

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

# Runs a command quietly; shows what it wrote only if it fails. The first argument says what it is for.
quietly() {
  local purpose="$1" log
  shift
  log="$(mktemp)"
  if "$@" >"$log" 2>&1; then
    rm -f "$log"
  else
    cat "$log" >&2
    rm -f "$log"
    say "$purpose failed"
    return 1
  fi
}

node_major() { "$1" -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0; }

# Node 24 or a later long-term release (their majors are even).
node_fits() {
  local major
  major="$(node_major "$1")"
  [ "$major" -ge 24 ] && [ $((major % 2)) -eq 0 ]
}

use_node() {
  if command -v node >/dev/null && node_fits node; then return; fi
  command -v npm >/dev/null || fail "Synap needs Node 24 (https://nodejs.org), or any Node with npm to fetch it with."
  local version name runtime
  version="$(cat "$ROOT/.node-version")"
  # npm carries Node itself, one package per platform; the first Apple Silicon name was taken.
  name="$(node -p '(process.platform === "darwin" && process.arch === "arm64" ? "node-bin" : "node") + `-${process.platform}-${process.arch}`')"
  runtime="$ROOT/.synap/runtime/$version"
  if [ ! -x "$runtime/node_modules/$name/bin/node" ]; then
    say "Fetching Node $version (this machine has $(node --version))"
    local draft="$runtime.$$"
    rm -rf "$draft"
    mkdir -p "$draft"
    quietly "Fetching Node $version" npm install --prefix "$draft" --no-save --no-package-lock --ignore-scripts --no-audit --no-fund \
      --loglevel=error "$name@$version" || exit 1
    rm -rf "$runtime"
    mv "$draft" "$runtime"
  fi
  PATH="$runtime/node_modules/$name/bin:$PATH"
  export PATH
}

# npm's own copy of the lock file is younger than ours after an installation by hand.
packages_are_current() {
  local installed="$ROOT/node_modules/.synap-lock.json" npms="$ROOT/node_modules/.package-lock.json"
  [ -f "$npms" ] || return 1
  cmp -s "$ROOT/package-lock.json" "$installed" && return 0
  [ "$npms" -nt "$ROOT/package-lock.json" ] && cp "$ROOT/package-lock.json" "$installed"
}

install_packages() {
  if packages_are_current; then return; fi
  say "Installing packages"
  # Naming a file here keeps Prisma from trying to download an engine that Synap does not use.
  PRISMA_SCHEMA_ENGINE_BINARY="$(command -v node)" quietly "npm ci" npm ci --prefix "$ROOT" --no-audit --no-fund --loglevel=error || exit 1
  cp "$ROOT/package-lock.json" "$ROOT/node_modules/.synap-lock.json"
}

generate_types() {
  local stamp="$ROOT/src/generated/.stamp"
  if [ -f "$stamp" ] && [ ! "$ROOT/prisma/schema.prisma" -nt "$stamp" ] && [ ! "$ROOT/package-lock.json" -nt "$stamp" ]; then return; fi
  say "Generating database types"
  # On the PATH, because Prisma starts its generators by name.
  (cd "$ROOT" && PATH="$ROOT/node_modules/.bin:$PATH" quietly "prisma generate" prisma generate) || exit 1
  touch "$stamp"
}

build() {
  local stamp="$ROOT/dist/.stamp" newer
  if [ -f "$stamp" ]; then
    newer="$(cd "$ROOT" && find src examples tsconfig.json tsconfig.build.json package.json package-lock.json -newer "$stamp" -print | head -n 1)"
    if [ -z "$newer" ]; then return; fi
  fi
  say "Building"
  quietly "The build" bash "$ROOT/bin/lib/build.sh"
}

# What is needed to run the program; a deployed image has it all and no sources.
set_up() {
  if [ ! -d "$ROOT/src" ]; then return; fi
  use_node
  install_packages
  generate_types
  build
}
