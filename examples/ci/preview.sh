#!/usr/bin/env bash
# Previews a change as a pull request does: without the root secret and without data.
#
#   STACK=prod ./preview.sh [comment.md]          both halves
#   STACK=prod ./preview.sh --collect <folder>    runs the program under review; writes what came out, unread
#   ./preview.sh --tell <folder> <comment.md>     makes the comment of it; runs nothing of the change
#
# The halves are for jobs of their own: the first runs a stranger's code and so must not hold a token that writes; the
# second holds one and so must run from a checkout that was reviewed.
# Needs what a preview needs to read the state: `pulumi` on PATH with PULUMI_BACKEND_URL and PULUMI_CONFIG_PASSPHRASE (or
# another secrets provider). Without PULUMI_BACKEND_URL the project's own state in .sealflow/ is meant.
# Must not have the root, the key broker's admin key or a right to write the state: a change under review could use them.
# Writes the comment; exits with what failed: the preview itself, or a rule of the policy pack.
set -euo pipefail

# Never what a public registry has under that name when the change took the package out.
sealflow() { npx --no-install sealflow "$@"; }
# `sealflow pulumi` knows the project's own state only.
run_pulumi() {
  if [ -n "${PULUMI_BACKEND_URL:-}" ]; then pulumi "$@"; else sealflow pulumi -- "$@"; fi
}

collect() {
  local folder="$1" stack="${STACK:?set STACK to the name of the stack}" name status=0 rules=0
  for name in SEALFLOW_ROOT SEALFLOW_KBS_ADMIN_KEY_FILE; do
    if [ -n "${!name:-}" ]; then
      echo "preview.sh: $name is set. A program under review can read it: take it out of this job" >&2
      exit 1
    fi
  done
  mkdir -p "$folder"
  # With the resources that stay the same: what of them changes without a deployment is a part of the review.
  run_pulumi preview --stack "$stack" --json --show-sames --non-interactive >"$folder/preview.json" || status=$?
  run_pulumi preview --stack "$stack" --non-interactive --color never \
    --policy-pack node_modules/sealflow/plugin/policy-pack >"$folder/policies.txt" 2>&1 || rules=$?
  echo "$status $rules" >"$folder/status"
}

# Everything in the folder may be a stranger's.
tell() {
  local folder="$1" comment="$2" status=1 rules=1 diffed=0
  read -r status rules < <(head -c 20 "$folder/status" | grep -E '^[0-9]{1,3} [0-9]{1,3}$' || echo "1 1")
  sealflow diff "$folder/preview.json" >"$comment" || diffed=$?
  # 6: the preview failed, which the comment says, too.
  if [ "$diffed" -ne 0 ] && [ "$diffed" -ne 6 ]; then
    printf '## The trust diff cannot be shown\n\nThe preview left nothing that can be read. Do not take an earlier comment for this change.\n' >"$comment"
    return "$diffed"
  fi
  if [ "$status" -ne 0 ] && [ "$diffed" -eq 0 ]; then
    printf '\n**The preview ended with exit code %s, so this may be incomplete.**\n' "$status" >>"$comment"
  fi
  if [ "$status" -eq 0 ] && [ "$rules" -ne 0 ]; then
    {
      # Without this heading of the engine the pack did not run, and what it printed last says why.
      if grep -q '^Policies:' "$folder/policies.txt"; then
        echo "### Rules that this change breaks"
        wanted=(sed -n '/^Policies:/,/^Diagnostics:/{/^Diagnostics:/!p}')
      else
        echo "### The policy pack did not run, so no rule was checked"
        wanted=(tail -n 20)
      fi
      echo
      # Indented by four: Markdown shows it as it is, as long as nothing else in it ends a line.
      "${wanted[@]}" "$folder/policies.txt" |
        LC_ALL=C tr -d '\000-\010\013-\037\177' | head -c 4000 | sed 's/^/    /'
    } >>"$comment"
  fi
  if [ "$status" -ne 0 ]; then return "$status"; fi
  return "$rules"
}

case "${1:-}" in
  --collect) collect "${2:?--collect <folder>}" ;;
  --tell) tell "${2:?--tell <folder> <comment.md>}" "${3:?--tell <folder> <comment.md>}" ;;
  *)
    comment="${1:-trust-diff.md}"
    work="$(mktemp -d)"
    trap 'rm -rf "$work"' EXIT
    collect "$work"
    ended=0
    tell "$work" "$comment" || ended=$?
    cat "$comment"
    exit "$ended"
    ;;
esac
