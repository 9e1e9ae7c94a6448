#!/usr/bin/env bash
# Runs all tests: the AppHost's too where the NuGet feed holds Aspire.
#   ./test.sh                       everything, in the short form
#   ./test.sh --long R3             one promise of docs/promises.md in its long form; without a name, all of them
#   CHATHISTORY_SEED=42 ./test.sh   whatever is random, as in the run that printed this seed
#   ./test.sh --filter Name         other arguments go to dotnet test
set -uo pipefail
cd "$(dirname "$0")" || exit 1

if [[ ${1:-} == --long ]]; then
  shift
  export CHATHISTORY_LONG=1
  if [[ -n ${1:-} && $1 != -* ]]; then
    set -- --filter "promise=$1" "${@:2}"
  else
    set -- --filter "promise~R|promise~S" "$@"
  fi
fi

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
export CHATHISTORY_FIGURES=$results/figures.txt

aspire=true
if ! restored=$(dotnet restore ChatHistory.AppHost -v q --nologo 2>&1); then
  # Any other reason is a fault of ours, and must not look like a feed without Aspire.
  if ! grep -qE "find package Aspire|SDK 'Aspire" <<<"$restored"; then
    echo "$restored" >&2
    exit 1
  fi
  aspire=false
  echo "Left out: the AppHost and its tests, because this NuGet feed does not have all of the Aspire packages that Directory.Packages.props names."
fi

# Release, so that the processes under test are the ones that run.sh starts.
dotnet build ChatHistory.Services.slnf -c Release -v q --nologo || exit 1
dotnet test ChatHistory.Tests -c Release --nologo -p:AspireAvailable=$aspire \
  --logger "console;verbosity=normal" --logger "trx;LogFileName=results.trx" --results-directory "$results" "$@"
status=$?

counters=$(grep -o '<Counters [^>]*>' "$results/results.trx" 2>/dev/null)
count() { sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" <<<"$counters"; }
if [[ -z $counters ]]; then
  echo "test.sh: no test ran" >&2
  exit 1
fi
# Once more at the end, with what they said: of a long log the last lines are what is looked at.
sed -n '/<UnitTestResult [^>]*outcome="Failed"/,/<\/UnitTestResult>/p' "$results/results.trx" \
  | sed -nE 's/.*<UnitTestResult [^>]*testName="([^"]*)".*/Failed: \1/p; /<(Message|StackTrace)>/,/<\/(Message|StackTrace)>/{s/<\/?(Message|StackTrace)>//g; s/^ */  /; p}' | cut -c1-2000 | awk '/^Failed: /{n = 0} n++ < 60'
if [[ -s $CHATHISTORY_FIGURES ]]; then
  echo "Promises (docs/promises.md):"
  sort -V "$CHATHISTORY_FIGURES"
fi
echo "$(count passed) passed, $(count failed) failed, $(($(count total) - $(count executed))) skipped"
exit $status
