#!/bin/sh
# Asks whether a step may be done, waits for people, does it, and reports what became of it. Needs curl alone.
#
#   GATEWAY=http://127.0.0.1:7070 TOKEN=cst_... sh step.sh ENGINE ACTION ARGUMENTS COMMAND...
#
# ARGUMENTS is a JSON object. Exits with 1 where the answer is no, and else as the command does.
set -eu
engine=$1 action=$2 arguments=$3
shift 3

# POST PATH BODY
post() {
    curl -sS -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' --data-binary "$2" "$GATEWAY$1"
}

# The text in a field of an answer, where it has one.
field() {
    printf '%s' "$answer" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"
}

# The very same bytes each time: they join the question, and use its approval.
question="{\"engine\":\"$engine\",\"action\":\"$action\",\"arguments\":$arguments,\"wait_s\":45}"
while answer=$(post /v1/approvals "$question"); [ "$(field state)" = pending ]; do
    echo "people are asked until $(field respond_by)" >&2
    sleep 10
done
if [ "$(field state)" != approved ]; then
    printf '%s\n' "$answer" >&2
    exit 1
fi
call=$(field call)

status=done exit=0
"$@" || { status=failed exit=$?; }
answer=$(post "/v1/calls/$call/outcome" "{\"status\":\"$status\",\"note\":\"exit code $exit\"}")
printf '%s\n' "$answer"
exit "$exit"
