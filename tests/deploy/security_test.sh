#!/bin/bash
# Who gets in, with nothing but what an operator has: openssl makes the certificates, the daemon serves them, dmcachectl
# calls.
#
#   tests/deploy/security_test.sh [BUILD_FOLDER]     default build/release, with daemon and dmcachectl built
#
# Every call is printed with its outcome; the exit code is 1 if one of them is another than it should be.  The same over
# the library, and much more, is in tests/e2e (security_test).  Loopback and a temporary folder only.
set -euo pipefail
cd "$(dirname "$0")/../.."

build=$(realpath "${1:-build/release}")
folder=$(mktemp -d)
daemon_pid=
wrong=0

finish() {
  [[ -z $daemon_pid ]] || kill -TERM "$daemon_pid" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$folder"
}
trap finish EXIT

die() {
  echo "security_test.sh: $*" >&2
  tail -n 5 "$folder/log" >&2 2>/dev/null || true
  exit 1
}

# authority NAME: its key and certificate.
authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" \
    -keyout "$folder/$1.key" -out "$folder/$1.crt" 2>/dev/null
}

# certificate AUTHORITY NAME SAN [DAYS]: DAYS below 0 for one that is over.
certificate() {
  local request=$folder/$2.csr days=${4:-1}
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" -keyout "$folder/$2.key" -out "$request" \
    2>/dev/null
  openssl x509 -req -in "$request" -CA "$folder/$1.crt" -CAkey "$folder/$1.key" -CAcreateserial -days "$days" \
    -extfile <(echo "subjectAltName=$3") -out "$folder/$2.crt" 2>/dev/null
}

# install_pair NAME: what the daemon serves with from now on.
install_pair() {
  cp "$folder/$1.key" "$folder/served.key"
  cp "$folder/$1.crt" "$folder/served.crt"
}

# ctl NAME COMMAND...: as the caller who has the certificate NAME.
ctl() {
  local name=$1
  shift
  "$build/client/dmcachectl" --timeout 5s --address "$address" --tls-ca "$folder/fleet.crt" \
    --tls-cert "$folder/$name.crt" --tls-key "$folder/$name.key" --tls-server-name dmcached.test "$@"
}

# expect CODE TEXT WHAT COMMAND...: WHAT is printed; the command must end with CODE and print TEXT.
expect() {
  local code=$1 text=$2 what=$3 got=0 said
  shift 3
  said=$("$@" 2>&1) || got=$?
  if ((got == code)) && [[ $said == *"$text"* ]]; then
    printf 'as it should be  %-52s %d %s\n' "$what" "$got" "$(head -n 1 <<<"$said" | cut -c 1-110)"
  else
    printf 'WRONG            %-52s %d %s\n' "$what" "$got" "$said"
    wrong=$((wrong + 1))
  fi
}

# greet OPTIONS...: begins to talk HTTP/2 as openssl's client does it with these options, and tells whether it is answered.
greet() {
  local bytes
  bytes=$({ printf 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0'; sleep 1; } |
    openssl s_client -quiet -connect "$address" -alpn h2 -CAfile "$folder/fleet.crt" "$@" 2>/dev/null | wc -c || true)
  if ((bytes > 0)); then echo "hears HTTP/2"; else echo "hears nothing"; fi
}

metric() {
  local line
  exec 3<>"/dev/tcp/127.0.0.1/$metrics_port"
  printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
  line=$(grep -F "$1" <&3 | grep -v '^#' || true)
  exec 3<&-
  printf '%s\n' "${line##* }"
}

# until_metric NAME VALUE: the daemon looks at its files each second.
until_metric() {
  for _ in {1..150}; do
    if [[ $(metric "$1") == "$2" ]]; then return; fi
    sleep 0.2
  done
  die "$1 did not become $2"
}

authority fleet
authority stranger
certificate fleet server DNS:dmcached.test
certificate fleet renewed DNS:dmcached.test
certificate fleet reader URI:spiffe://fleet/reader
certificate fleet operator URI:spiffe://fleet/operator
certificate fleet nobody URI:spiffe://fleet/nobody
certificate fleet over URI:spiffe://fleet/operator -1
certificate stranger other URI:spiffe://fleet/operator
install_pair server
mkdir "$folder/devices"
truncate -s 4M "$folder/devices/metadata" "$folder/secret"
ln -s "$folder/secret" "$folder/devices/link"
cat >"$folder/config.json" <<END
{
  "listen": ["unix:$folder/socket", "127.0.0.1:0"],
  "metrics": "127.0.0.1:0",
  "socket_mode": "0600",
  "tls": {"certificate": "$folder/served.crt", "key": "$folder/served.key", "client_ca": "$folder/fleet.crt"},
  "roles": [{"identity": "spiffe://fleet/reader", "role": "reader"},
            {"identity": "spiffe://fleet/operator", "role": "operator"}],
  "allowed_paths": ["$folder/devices/*"]
}
END
"$build/server/dmcached" --config "$folder/config.json" >"$folder/banner" 2>"$folder/log" &
daemon_pid=$!
for _ in {1..100}; do
  [[ -s $folder/banner ]] && break
  kill -0 "$daemon_pid" 2>/dev/null || die "the daemon did not start"
  sleep 0.1
done
banner=$(head -n 1 "$folder/banner")
address=$(grep -oE '127\.0\.0\.1:[0-9]+' <<<"${banner%% metrics=*}" | head -n 1)
metrics_port=${banner##*:}
local_ctl=("$build/client/dmcachectl" --address "unix:$folder/socket")

expect 0 "Created" "the socket's owner creates a cache" \
  "${local_ctl[@]}" cache create demo --metadata "$folder/devices/metadata" --cache-blocks 1024 --origin-size 1GiB --block-size 64KiB
expect 0 "version" "a reader asks for information" ctl reader info
expect 1 "ROLE_TOO_LOW" "a reader inserts a mapping" ctl reader mapping insert demo 0:100
expect 0 "Inserted" "an operator inserts a mapping" ctl operator mapping insert demo 0:100
expect 1 "ROLE_TOO_LOW" "an operator deletes the cache" ctl operator cache delete demo
expect 1 "ROLE_TOO_LOW" "a certificate without a role" ctl nobody info
expect 3 "" "a certificate that is over" ctl over info
expect 3 "" "a certificate of another authority" ctl other info
expect 0 "hears nothing" "no certificate" greet
expect 0 "hears HTTP/2" "the same with a certificate" greet -cert "$folder/reader.crt" -key "$folder/reader.key"
expect 3 "" "plain text" "$build/client/dmcachectl" --timeout 5s --address "$address" info
expect 1 "PATH_NOT_ALLOWED" "a path beyond .." ctl reader probe "$folder/devices/../secret"
expect 1 "PATH_NOT_ALLOWED" "a link that leads out" ctl reader probe "$folder/devices/link"
expect 1 "PATH_NOT_ALLOWED" "a device node" ctl reader probe /dev/zero
expect 0 "version" "a path that is allowed" ctl reader probe "$folder/devices/metadata"

cp "$folder/renewed.key" "$folder/served.key" # Without its certificate.
until_metric dmcached_tls_reload_failures_total 1
expect 0 "version" "after a key that does not fit, the old pair serves" ctl reader info
before=$(metric dmcached_tls_certificate_expiry_timestamp_seconds)
certificate fleet renewed DNS:dmcached.test 30
install_pair renewed
for _ in {1..150}; do
  after=$(metric dmcached_tls_certificate_expiry_timestamp_seconds)
  [[ $after != "$before" ]] && break
  sleep 0.2
done
expect 0 "" "the new pair's end is shown" test "$after" != "$before"
expect 0 "version" "after a new pair" ctl reader info
expect 0 "notAfter" "the new pair is what is served" \
  bash -c "openssl s_client -connect $address -CAfile $folder/fleet.crt -cert $folder/reader.crt -key $folder/reader.key \
    </dev/null 2>/dev/null | openssl x509 -noout -enddate -checkend $((20 * 86400))"
expect 0 "rpc=InsertMappings cache=demo" "the mutation is in the log" \
  grep "event=mutation caller=spiffe://fleet/operator" "$folder/log"
expect 0 "3" "refusals are counted" metric 'dmcached_authorization_denied_total{role="reader",grpc_method="ProbeCache"}'
expect 0 "600" "the socket's mode" stat -c %a "$folder/socket"

kill -TERM "$daemon_pid"
wait "$daemon_pid" || die "the daemon did not stop clean"
daemon_pid=
printf 'security: %d wrong\n' $wrong
((wrong == 0))
