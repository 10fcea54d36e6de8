#!/bin/sh
# The body comes on stdin, the event's fields in the environment. What is printed is the answer, and is kept in the stream
# that function.yaml names; stderr is the log; an exit code other than 0 is a failure, and the event is tried again.
set -eu

reading=$(cat)
case $reading in
'' | *[!0-9.-]*)
  echo "no number: $reading" >&2
  exit 1
  ;;
esac
printf '%s %s\n' "${NUCLIO_EVENT_TOPIC:-by hand}" "$reading"
