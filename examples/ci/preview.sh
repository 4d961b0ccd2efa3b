#!/usr/bin/env bash
# Previews a change as a pull request does: without the root secret and without data.
#
#   STACK=prod ./preview.sh [comment.md]
#
# Needs what a preview needs to read the state: `pulumi` on PATH with PULUMI_BACKEND_URL and PULUMI_CONFIG_PASSPHRASE (or
# another secrets provider). Without PULUMI_BACKEND_URL the project's own state in .sealflow/ is meant. Must not have: SEALFLOW_ROOT or a root file; a change under review could print them.
# Writes the comment; exits with what failed: the preview itself, or a rule of the policy pack.
set -euo pipefail

stack="${STACK:?set STACK to the name of the stack}"
comment="${1:-trust-diff.md}"
if [ -n "${SEALFLOW_ROOT:-}" ]; then
  echo "preview.sh: SEALFLOW_ROOT is set. A program under review can print it: take it out of this job" >&2
  exit 1
fi
# `sealflow pulumi` knows the project's own state only.
run_pulumi() {
  if [ -n "${PULUMI_BACKEND_URL:-}" ]; then pulumi "$@"; else npx sealflow pulumi -- "$@"; fi
}
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

status=0
run_pulumi preview --stack "$stack" --json --non-interactive >"$work/preview.json" || status=$?
diffed=0
npx sealflow diff "$work/preview.json" >"$comment" || diffed=$?
# 6: the preview failed, which the comment says, too.
if [ "$diffed" -ne 0 ] && [ "$diffed" -ne 6 ]; then exit "$diffed"; fi

rules=0
run_pulumi preview --stack "$stack" --non-interactive --policy-pack node_modules/sealflow/plugin/policy-pack \
  >"$work/policies.txt" 2>&1 || rules=$?
if [ "$status" -eq 0 ] && [ "$rules" -ne 0 ]; then
  {
    echo "### Rules that this change breaks"
    echo
    # Indented by four: Markdown shows it as it is, whatever is in it.
    sed -n '/^Policies:/,/^Diagnostics:/{/^Diagnostics:/!p}' "$work/policies.txt" | sed 's/^/    /'
  } >>"$comment"
fi
cat "$comment"
if [ "$status" -ne 0 ]; then exit "$status"; fi
exit "$rules"
