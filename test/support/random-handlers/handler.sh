#!/bin/sh
# What a random program does, in shell. The body of an event says it: id|behaviour|times|emits (random-handlers.ts).
# Its answer is its one row: outputStream is set.
IFS='|' read -r id behaviour times emits
if [ "$NUCLIO_EVENT_ATTEMPT" -le "$times" ]; then
  case "$behaviour" in
    exit3) echo partial; exit 3 ;;
    hang) sleep 60 ;;
    busy) while :; do :; done ;;
    kill) kill -9 $$ ;;
    tooMuch) head -c 17000000 /dev/zero; exit 0 ;;
  esac
fi
case "$behaviour" in
  wait) sleep 0.15 ;;
  fork) sleep 300 & ;;
  doubleFork) (setsid sh -c 'sleep 300 & exec sleep 300' &) ;;
  garbage) head -c 60000 /dev/urandom >&2 ;;
  logFlood) seq 1 2000 >&2 ;;
esac
printf '%s#%s#0' "$id" "$NUCLIO_EVENT_ATTEMPT"
