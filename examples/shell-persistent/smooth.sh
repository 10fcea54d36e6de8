#!/bin/sh
# Each event's body is a line on stdin; each line on stdout answers one event, in order. fflush: an answer that waits in a buffer is
# late. -W interactive: without it, mawk (Debian's awk) waits for a full buffer of input; other awks take no notice.
exec awk -W interactive '
  $1 !~ /^-?[0-9.]+$/ { print "no number"; fflush(); next }
  { mean = NR == 1 ? $1 : (mean + $1) / 2; print mean; fflush() }'
