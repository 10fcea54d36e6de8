#!/bin/sh
# Gets an anomaly as JSON on stdin, its topic and time in the environment. What is printed is the answer; what goes to
# stderr is logged; an exit code other than 0 is a failure, and the event is tried again.
set -eu

anomaly=$(cat)

# field NAME: the number after "NAME": in the JSON. (jq does it better, where there is one.)
field() {
  printf '%s' "$anomaly" | sed -n "s/.*\"$1\": *\(-\{0,1\}[0-9.eE+-]*\).*/\1/p"
}

value=$(field value)
[ -n "$value" ] || { echo "no value in: $anomaly" >&2; exit 1; }

printf '%s %s is %s, usually %s (+/- %s)\n' \
  "$NUCLIO_EVENT_TIMESTAMP" "${NUCLIO_EVENT_TOPIC#anomalies/}" "$value" "$(field mean)" "$(field deviation)"
