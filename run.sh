#!/usr/bin/env bash
# Runs ChatHistory: through the Aspire AppHost where the NuGet feed holds Aspire, else the same services directly.
set -uo pipefail
called_from=$PWD
cd "$(dirname "$0")" || exit 1

usage() {
  cat <<'EOF'
usage: ./run.sh [--direct]
       ./run.sh --restore latest|NAME|FILE

  --direct          start the services without the AppHost, even where Aspire restores
  --restore WHAT    restore a backup while nothing runs: the newest good one, one of VOLUME_DIR/db/backups by its name, or a file.
                    While it runs: curl -X POST -H 'X-ChatHistory-Operator: 1' http://127.0.0.1:8079/admin/backups/latest/restore

Environment:
  GATEWAY_PORT      where the API listens (default 8080)
  ADMIN_PORT        where keys and backups are managed, on loopback (default: the port before GATEWAY_PORT, 8079)
  VOLUME_DIR        database, logs and models (default ./volume)
  VLLM_ENDPOINT     an OpenAI-compatible server to use, e.g. http://localhost:8000 (default: the simulator)
  VLLM_MODEL        the model's name (default Qwen/Qwen3-0.6B)
  ADMIN_KEY         with it, every request needs an API key; keys are made under /admin/keys of ADMIN_PORT (default: personal mode)
  OIDC_AUTHORITY    an OpenID Connect issuer whose tokens are accepted beside API keys; with OIDC_AUDIENCE, what they have as "aud"
EOF
}

direct=false
restore=
while (($# > 0)); do
  case $1 in
    --direct) direct=true ;;
    --restore)
      restore=${2:-}
      [[ -n $restore ]] || { echo "run.sh: --restore needs latest, a backup's name or a file" >&2; usage >&2; exit 2; }
      shift
      ;;
    -h | --help) usage; exit 0 ;;
    *) echo "run.sh: unknown argument '$1'" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

export GATEWAY_PORT=${GATEWAY_PORT:-8080}
export ADMIN_PORT=${ADMIN_PORT:-$((GATEWAY_PORT - 1))}
export VLLM_MODEL=${VLLM_MODEL:-Qwen/Qwen3-0.6B}
VOLUME_DIR=${VOLUME_DIR:-./volume}
mkdir -p "$VOLUME_DIR"/{db,logs,models} || exit 1
VOLUME_DIR=$(cd "$VOLUME_DIR" && pwd) || exit 1
export VOLUME_DIR

if ! command -v dotnet >/dev/null; then
  echo "run.sh: the .NET SDK 10 is needed (dotnet is not on the PATH)" >&2
  exit 1
fi

dll() { echo "$1/bin/Release/net10.0/$1.dll"; }

# Building takes seconds even when nothing changed, looking at the files does not.
up_to_date() {
  local project
  for project in ChatHistory.{StorageService,VllmSimulator,Gateway}; do
    [[ -f $(dll "$project") ]] || return 1
    [[ -z $(find "$project" ChatHistory.ServiceDefaults ChatHistory.StorageService/Protos Directory.* global.json -newer "$(dll "$project")" \
      -type f -not -path '*/bin/*' -not -path '*/obj/*' -print -quit) ]] || return 1
  done
}

build_if_needed() {
  up_to_date && return
  echo "building"
  # Without the analyzers: they judge the code for those who change it (test.sh builds with them) and take half of the time.
  dotnet build ChatHistory.Services.slnf -c Release -v q --nologo -clp:NoSummary -p:RunAnalyzers=false || exit 1
  # Up to date means: newer than every source. The compiler leaves a file alone whose content stays the same.
  touch "$(dll ChatHistory.StorageService)" "$(dll ChatHistory.VllmSimulator)" "$(dll ChatHistory.Gateway)"
}

# ------------------------------------------------------------------------------------------------------------- restoring
if [[ -n $restore ]]; then
  build_if_needed
  [[ $restore != /* && -f $called_from/$restore ]] && restore=$called_from/$restore
  # The service itself refuses it while another one has the database.
  exec dotnet "$(dll ChatHistory.StorageService)" --restore "$restore"
fi

# True when something answers GET /health with 200 on a port of this machine. Plain bash: curl may not be there.
healthy() {
  local status
  { exec 3<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 1
  printf 'GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
  IFS= read -r -t 5 status <&3
  exec 3<&- 3>&-
  [[ ${status:-} == *" 200 "* ]]
}

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

names=() pids=()
stop_all() {
  trap '' INT TERM
  local i
  # The gateway first: the turns that it is answering are committed to storage before that goes.
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
    kill -TERM "${pids[i]}" 2>/dev/null && wait "${pids[i]}" 2>/dev/null
  done
}
trap 'echo; echo "stopping"; stop_all; exit 0' INT TERM

# Waits until a started process is healthy; says why when it ends instead.
wait_healthy() { # name pid port log
  while ! healthy "$3"; do
    if ! kill -0 "$2" 2>/dev/null; then
      echo "run.sh: $1 did not start:" >&2
      [[ -n $4 ]] && tail -n 20 "$4" >&2
      stop_all
      exit 1
    fi
    sleep 0.1
  done
}

# Runs until one process ends, which is a failure, or a signal comes.
stay() {
  local i
  while true; do
    for ((i = 0; i < ${#pids[@]}; i++)); do
      if ! kill -0 "${pids[i]}" 2>/dev/null; then
        echo "run.sh: ${names[i]} (pid ${pids[i]}) ended; stopping the others" >&2
        stop_all
        exit 1
      fi
    done
    sleep 1 &
    wait $!
  done
}

if listening "$GATEWAY_PORT"; then
  echo "run.sh: port $GATEWAY_PORT is taken. Choose another one: GATEWAY_PORT=8090 ./run.sh" >&2
  exit 1
fi

if listening "$ADMIN_PORT"; then
  echo "run.sh: port $ADMIN_PORT, where keys and backups are managed, is taken. Choose another one: ADMIN_PORT=8091 ./run.sh" >&2
  exit 1
fi

# ------------------------------------------------------------------------------------------------------ with the AppHost
if ! $direct; then
  if restored=$(dotnet restore ChatHistory.AppHost -v q --nologo 2>&1); then
    dotnet build ChatHistory.AppHost -v q --nologo || exit 1
    dotnet run --no-build --project ChatHistory.AppHost --launch-profile http &
    names+=(apphost) pids+=($!)
    echo "apphost    pid ${pids[0]}  dashboard http://localhost:15000 (the log below shows the link with its token)"
    wait_healthy apphost "${pids[0]}" "$GATEWAY_PORT" ""
    echo "ready http://127.0.0.1:$GATEWAY_PORT"
    stay
  fi
  # Any other reason is a fault that somebody should see.
  if ! grep -qE "find package Aspire|SDK 'Aspire" <<<"$restored"; then
    echo "$restored" >&2
    echo "run.sh: the AppHost could not be restored (above). ./run.sh --direct starts the services without it." >&2
    exit 1
  fi
  echo "The NuGet feed does not have all of the Aspire packages that Directory.Packages.props names: starting the services directly, without the dashboard."
fi

# --------------------------------------------------------------------------------------------------- without the AppHost
build_if_needed

next_port=$GATEWAY_PORT
free_port() { # sets $port to the next free one after the gateway's
  while next_port=$((next_port + 1)); ((next_port == ADMIN_PORT)) || listening "$next_port"; do :; done
  port=$next_port
}

start() { # name project url KEY=VALUE...
  local name=$1 project=$2 url=$3
  shift 3
  # As the services' own log files: for their user only.
  (umask 077 && : >"$VOLUME_DIR/logs/$name.console.log")
  env "$@" dotnet "$(dll "$project")" >"$VOLUME_DIR/logs/$name.console.log" 2>&1 </dev/null &
  names+=("$name") pids+=($!)
  printf '%-10s pid %-7s %s\n' "$name" "$!" "$url"
}

free_port; storage_grpc=$port
free_port; storage_http=$port
start storage ChatHistory.StorageService "grpc http://127.0.0.1:$storage_grpc  health http://127.0.0.1:$storage_http/health" \
  "Kestrel__Endpoints__grpc__Url=http://127.0.0.1:$storage_grpc" \
  "Kestrel__Endpoints__http__Url=http://127.0.0.1:$storage_http" \
  "DOTNET_GCgen0size=400000" # as in the AppHost, which says why

model_server=${VLLM_ENDPOINT:-}
if [[ -z $model_server ]]; then
  free_port; simulator=$port
  model_server=http://127.0.0.1:$simulator
  start vllm ChatHistory.VllmSimulator "$model_server  (a simulation: set VLLM_ENDPOINT to use a real model server)" \
    "Kestrel__Endpoints__http__Url=$model_server" \
    "Simulator__Model=$VLLM_MODEL"
fi

# The same keys that Aspire injects.
start gateway ChatHistory.Gateway "http://127.0.0.1:$GATEWAY_PORT  admin http://127.0.0.1:$ADMIN_PORT/admin" \
  "Kestrel__Endpoints__http__Url=http://127.0.0.1:$GATEWAY_PORT" \
  "Kestrel__Endpoints__admin__Url=http://127.0.0.1:$ADMIN_PORT" \
  "services__storage__grpc__0=http://127.0.0.1:$storage_grpc" \
  "services__storage__http__0=http://127.0.0.1:$storage_http" \
  "services__vllm__http__0=$model_server" \
  "ConnectionStrings__vllm=Endpoint=${model_server%/}/v1;Key=${VLLM_API_KEY:-};Model=$VLLM_MODEL" \
  "Identity__AdminKey=${ADMIN_KEY:-}" \
  "Identity__Oidc__Authority=${OIDC_AUTHORITY:-}" \
  "Identity__Oidc__Audience=${OIDC_AUDIENCE:-}" \
  "DOTNET_GCgen0size=800000"

for ((i = 0; i < ${#pids[@]}; i++)); do
  case ${names[i]} in
    storage) port=$storage_http ;;
    vllm) port=$simulator ;;
    gateway) port=$GATEWAY_PORT ;;
  esac
  wait_healthy "${names[i]}" "${pids[i]}" "$port" "$VOLUME_DIR/logs/${names[i]}.console.log"
done

echo "ready http://127.0.0.1:$GATEWAY_PORT"
stay
