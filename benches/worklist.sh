#!/usr/bin/env bash
# The worklist beside DCMTK's wlmscpfs: the same items, the same client (DCMTK's findscu), one run.
# Needs `apt-get install dcmtk` and release builds of hl7-server, hl7-sender and hl7-generator.
set -euo pipefail
cd "$(dirname "$0")/.."
bin="${CARGO_TARGET_DIR:-$PWD/target}/release"
items="${1:-1000}"
for program in wlmscpfs findscu; do
    command -v "$program" >/dev/null || { echo "skipped: $program is not installed (apt-get install dcmtk)"; exit 0; }
done
work="$(mktemp -d)"
ours="" theirs=""
trap 'kill $ours $theirs 2>/dev/null || true; rm -rf "$work"' EXIT
free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

"$bin/hl7-server" --data-dir "$work/data" --mllp 127.0.0.1:0 --rest 127.0.0.1:0 --web 127.0.0.1:0 \
    --dicom 127.0.0.1:0 --quiet --log error --print-ports >"$work/ports" &
ours=$!
for _ in $(seq 100); do [ -s "$work/ports" ] && break; sleep 0.1; done
port() { sed -E "s/.*\"$1\":\"[^\"]*:([0-9]+)\".*/\1/" "$work/ports"; }
"$bin/hl7-generator" --types orm --scenario independent --total "$items" --seed 1 --quiet \
    --set ORC-1=NW --output "$work/orders.txt" >/dev/null 2>&1
"$bin/hl7-sender" --input "$work/orders.txt" --port "$(port mllp)" --keep-alive --quiet >/dev/null

# What ours answers becomes their database, so that both hold the same items.
mkdir -p "$work/lists/MEDSYNAPSE" "$work/answers"
keys=(-k "(0040,0100)[0].ScheduledStationAETitle" -k "(0040,0100)[0].Modality"
    -k "(0040,0100)[0].ScheduledProcedureStepStartDate" -k "(0040,0100)[0].ScheduledProcedureStepStartTime"
    -k "(0040,0100)[0].ScheduledProcedureStepID" -k "(0040,0100)[0].ScheduledProcedureStepDescription"
    -k "(0040,0100)[0].ScheduledPerformingPhysicianName"
    -k PatientName -k PatientID -k PatientBirthDate -k PatientSex -k AccessionNumber
    -k StudyInstanceUID -k RequestedProcedureID -k RequestedProcedureDescription)
findscu -q -W -aec MEDSYNAPSE -X -od "$work/answers" "${keys[@]}" 127.0.0.1 "$(port dicom)"
count=0
for answer in "$work"/answers/*.dcm; do
    count=$((count + 1))
    mv "$answer" "$work/lists/MEDSYNAPSE/$count.wl"
done
: >"$work/lists/MEDSYNAPSE/lockfile"
their_port=$(free)
wlmscpfs -dfp "$work/lists" "$their_port" >/dev/null 2>&1 &
theirs=$!
sleep 1

ask() { # port, more keys: milliseconds for one association
    local port=$1 start end
    shift
    start=$(date +%s%N)
    findscu -q -W -aec MEDSYNAPSE "${keys[@]}" "$@" 127.0.0.1 "$port" >/dev/null 2>&1
    end=$(date +%s%N)
    echo $(((end - start) / 1000))
}
best() { # the best of five, in microseconds
    for _ in 1 2 3 4 5; do ask "$@"; done | sort -n | head -1
}
station=(-k "(0040,0100)[0].ScheduledStationAETitle=CT1")
printf '%s items; best of five associations of findscu, in microseconds\n' "$count"
printf '%-34s %10s %10s\n' "" hl7-server wlmscpfs
printf '%-34s %10s %10s\n' "every item" "$(best "$(port dicom)")" "$(best "$their_port")"
printf '%-34s %10s %10s\n' "AE title CT1" "$(best "$(port dicom)" "${station[@]}")" "$(best "$their_port" "${station[@]}")"
