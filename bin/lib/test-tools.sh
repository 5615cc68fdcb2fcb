# Sourced by bin/test: the two programs that tests need and npm does not carry.

# Installs a Debian package where that is allowed, else says what to do.
apt_install() {
  local package="$1" advice="$2"
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then fail "$advice"; fi
  say "Installing $package"
  # RUNLEVEL=1: the package must not start a service of its own.
  local install=(env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y --no-install-recommends "$package")
  if ! "${install[@]}" >/dev/null 2>&1; then
    quietly "apt-get update" apt-get update || fail "$advice"
    quietly "apt-get install $package" "${install[@]}" || fail "$advice"
  fi
}

has_any() {
  local program
  for program in "$@"; do
    if command -v "$program" >/dev/null; then return 0; fi
  done
  return 1
}

ensure_redis() {
  if [ -n "${REDIS_URL:-}" ] || has_any redis-server valkey-server; then return; fi
  apt_install redis-server "The tests run against a real Redis. Install redis-server or valkey-server (version 7 or later) so that it is on the PATH, or set REDIS_URL to one that may be filled with test data."
}

ensure_chromium() {
  if [ -n "${CHROMIUM_PATH:-}" ] || has_any chromium chromium-browser google-chrome-stable google-chrome; then return; fi
  apt_install chromium "The browser tests need Chromium. Install it so that it is on the PATH, or set CHROMIUM_PATH to a Chrome or Chromium."
}
