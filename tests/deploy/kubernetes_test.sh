#!/bin/bash
# Builds every overlay of deploy/kubernetes with kustomize and validates it strictly.
#
#   tests/deploy/kubernetes_test.sh
#
# Types, enums, required and unknown fields, and references between the objects (npm-kubernetes/validate-k8s.mjs); then
# that each field, misspelt or of a wrong type, is found (mutate-k8s.mjs); then what no schema says: hardening, probes.
# Needs kubectl 1.27 or later (Debian 12 packages 1.20, whose kustomize is too old), node and npm; without them, or without
# the network that npm needs once, the exit code is 77 (skipped).
set -euo pipefail
cd "$(dirname "$0")/../.."

skip() { echo "kubernetes_test.sh: skipped: $*"; exit 77; }
die() { echo "kubernetes_test.sh: $*" >&2; exit 1; }

for tool in kubectl node npm; do
  command -v "$tool" >/dev/null || skip "$tool is not installed"
done
version=$(kubectl version --client 2>/dev/null | sed -nE 's/^Kustomize Version: v([0-9]+).*/\1/p')
((${version:-0} >= 5)) || skip "kubectl's kustomize is older than version 5 (kubectl 1.27)"

readonly CHECKS=tests/deploy/npm-kubernetes
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp "$CHECKS"/* "$folder" 2>/dev/null || true
npm --prefix "$folder" ci --ignore-scripts --no-audit --no-fund >"$folder/npm.log" 2>&1 ||
  skip "npm cannot install what $CHECKS/package-lock.json names: $(tail -n 1 "$folder/npm.log")"

for overlay in deploy/kubernetes/overlays/*/; do
  name=$(basename "$overlay")
  built=$folder/$name.yaml
  echo "== $name"
  kubectl kustomize "$overlay" >"$built"
  node "$folder/validate-k8s.mjs" "$built" || die "$overlay is not valid"
  node "$folder/mutate-k8s.mjs" "$built" || die "$overlay: a mistake would not be found"
  node "$folder/policy-k8s.mjs" "$built" || die "$overlay breaks a rule of this project"
done
