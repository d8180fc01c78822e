#!/usr/bin/env bash
# Servers of others under the same load as ours. Starts those that are installed, says how to
# install the rest, and ends what it started.
#
#   pip install hl7==0.4.5
#   npm install --prefix benches/link/servers node-hl7-server
set -euo pipefail
cd "$(dirname "$0")"
cargo build --quiet --release --manifest-path ../Cargo.toml
figures=${CARGO_TARGET_DIR:-../target}/release/hl7-link-figures

# Starts a server, waits until it listens, loads it, ends it.
try() {
  local name=$1 port=$2; shift 2
  local output; output=$(mktemp)
  "$@" "$port" >"$output" 2>&1 &
  local pid=$!
  for _ in $(seq 50); do grep -q listening "$output" && break; sleep 0.1; done
  if grep -q listening "$output"; then "$figures" load "127.0.0.1:$port" "$name" || true
  else echo "$name did not start:"; cat "$output"; fi
  kill "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  rm -f "$output"
}

"$figures" server
echo
echo "Ours with a connection for every message, as the others may need it:"
"$figures" serve & ours=$!
sleep 1
"$figures" load 127.0.0.1:26750 "hl7-mllp"
kill "$ours"
wait "$ours" 2>/dev/null || true
echo
echo "| server of others | answers a second | a connection for every message |"
echo "|---|---|---|"
if python3 -c 'import hl7.mllp' 2>/dev/null; then
  try "python hl7 $(python3 -c 'import hl7; print(hl7.__version__)')" 26751 python3 server.py
else
  echo "python hl7 is not installed: pip install hl7==0.4.5"
fi
if [ -d node_modules/node-hl7-server ]; then
  version=$(node -p "require('./node_modules/node-hl7-server/package.json').version")
  try "node-hl7-server $version" 26752 node server.mjs
else
  echo "node-hl7-server is not installed: npm install --prefix benches/link/servers node-hl7-server"
fi
