#!/bin/sh
# start.sh [run | reload | adapt]: names every replica to Caddy, so that it asks each one for its readiness (it cannot where DNS
# hands out one name for all). A bare `caddy reload` would find no names in its environment.
set -eu

# replicas SERVICE COUNT: their names are those that compose gives to containers.
replicas() {
  i=1
  while [ "$i" -le "$2" ]; do
    printf '%s-%s-%d:3000 ' "$COMPOSE_PROJECT" "$1" "$i"
    i=$((i + 1))
  done
}

API_REPLICAS="$(replicas api "$API_COUNT")"
REALTIME_REPLICAS="$(replicas realtime "$REALTIME_COUNT")"
export API_REPLICAS REALTIME_REPLICAS
exec caddy "${1:-run}" --config /etc/caddy/Caddyfile --adapter caddyfile
