#!/usr/bin/env bash
# Fails when a stack is not as its program says: something was changed by hand, or an `up` never happened.
#
#   STACK=prod ./drift.sh
#
# Needs what preview.sh needs. For what runs outside of Pulumi's knowledge (grants, policies, versions) add `--refresh`
# and the connection to the relying party; that takes the administration key, so run it where the owner runs `up`.
set -euo pipefail

stack="${STACK:?set STACK to the name of the stack}"
if [ -n "${PULUMI_BACKEND_URL:-}" ]; then pulumi=(pulumi); else pulumi=(npx --no-install sealflow pulumi --); fi
exec "${pulumi[@]}" preview --stack "$stack" --expect-no-changes --diff --non-interactive "$@"
