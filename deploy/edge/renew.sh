#!/bin/sh
# Gives a certificate that has changed on disk to the running proxy: live calls keep their connections, new ones get the new certificate.
# EDGE_CERTIFICATE: file with the certificate and its chain, the key beside it as EDGE_CERTIFICATE.key. EDGE_RUN: folder of the admin socket.
# EDGE_RENEW_SECONDS: how often it looks.
set -u
: "${EDGE_CERTIFICATE:?is the certificate file of the proxy}" "${EDGE_RUN:=/run/edge}" "${EDGE_RENEW_SECONDS:=5}"
# As process 1 it would not hear of its end otherwise.
trap 'exit 0' TERM INT

say() { printf '{"level":"%s","process":"edge-renew","msg":"%s"}\n' "$1" "$2"; }

ask() { socat -t 5 - "UNIX-CONNECT:$EDGE_RUN/admin.sock"; }

# An empty line would end the text of a command too early, and chains often have some. The key goes through pipes of the shell only, never into arguments.
read_certificate() { { cat "$EDGE_CERTIFICATE" && echo && cat "$EDGE_CERTIFICATE.key"; } | tr -d '\r' | grep .; }

replace() {
  answer=$({ printf 'set ssl cert %s <<\n%s\n\n' "$EDGE_CERTIFICATE" "$1"; } | ask) || return 1
  case $answer in *'ransaction created'* | *'ransaction updated'*) ;; *) return 1 ;; esac
  answer=$(printf 'commit ssl cert %s\n' "$EDGE_CERTIFICATE" | ask) || return 1
  case $answer in *Success*) return 0 ;; esac
  # Key and certificate that do not belong together (a half-written pair) must not stay half-applied.
  printf 'abort ssl cert %s\n' "$EDGE_CERTIFICATE" | ask >/dev/null
  return 1
}

# Nothing is known at the start: this script may have been away while the certificate changed. Giving the proxy what it has already is harmless.
known=
complained=
while :; do
  # Before the proxy is up there is nobody to ask.
  if [ -S "$EDGE_RUN/admin.sock" ] && found=$(read_certificate) && [ -n "$found" ] && [ "$found" != "$known" ]; then
    if replace "$found"; then
      known=$found
      complained=
      say info 'the proxy has the certificate on disk'
    elif [ "$found" != "$complained" ]; then
      complained=$found
      say error 'the proxy refused the certificate on disk and keeps the one it has; trying again'
    fi
  fi
  sleep "$EDGE_RENEW_SECONDS" &
  wait $!
done
