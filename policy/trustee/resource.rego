# Purpose: which KBS resource a guest may read. Run by the Trustee KBS (0.20 to 0.22) once per resource request.
# Input: the EAR token in `input`; data.plugin, data["resource-path"] (three segments) of the request.
# One text for every stack on a KBS: a path is allowed only if the token carries it in its grant (attestation-cpu-*.rego),
# every submodule is affirming, and the guest was booted with initdata. Deny by default; a missing claim denies.
package policy

import rego.v1

default allow := false

allow if {
	data.plugin == "resource"
	path := data["resource-path"]
	is_array(path)
	count(path) == 3
	is_object(input.submods)
	count(input.submods) > 0
	every _, s in input.submods { s["ear.status"] == "affirming" }
	cpu := input.submods.cpu0
	is_object(cpu["ear.veraison.annotated-evidence"].init_data_claims)
	grant := cpu["ear.sealflow.grant"]
	is_object(grant)
	is_array(grant.require)
	every device in grant.require { input.submods[device]["ear.status"] == "affirming" }
	is_array(grant.paths)
	some granted in grant.paths
	granted == concat("/", path)
}
