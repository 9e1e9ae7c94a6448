#!/usr/bin/env bash
# Measures ChatHistory beside its comparisons, and writes bench/results. What and how: bench/README.md.
#   bench/run.sh                    everything
#   bench/run.sh http [--quick] [--limits]   over HTTP: the product, YARP, nginx, Portkey, and no gateway at all
#   bench/run.sh storage [--quick]  the storage service by itself
set -euo pipefail
cd "$(dirname "$0")/.."

# Release and without the analyzers, as run.sh builds what it starts.
dotnet build ChatHistory.Services.slnf -c Release -v q --nologo -clp:NoSummary -p:RunAnalyzers=false
dotnet build bench/ChatHistory.Bench -c Release -v q --nologo -clp:NoSummary -p:RunAnalyzers=false

# The rival, where there is Node.js; bench says so where it is missing.
if [[ ${1:-http} != storage ]] && command -v npm >/dev/null; then
  npm ci --prefix bench/portkey --silent --ignore-scripts --no-audit --no-fund || echo "npm could not install the rival; it is left out." >&2
fi

bench() {
  # Inline completions: the load generator shares the machine, and need not hand what it reads to another thread. What is measured does not inherit it.
  local inline=0
  [[ $1 == http ]] && inline=1
  DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS=$inline dotnet bench/ChatHistory.Bench/bin/Release/net10.0/ChatHistory.Bench.dll "$@"
}

if (($# == 0)); then
  status=0
  bench http || status=$?
  bench storage || status=$?
  exit $status
fi
bench "$@"
