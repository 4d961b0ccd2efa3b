# Purpose: appraisal of an NVIDIA GPU beside a confidential guest, policy id default_gpu. Run by the Trustee attestation
# service once per GPU; its result is the token's submodule gpu0, gpu1, …, which a grant may require.
# Input: claims of NVIDIA's remote attestation service; query_reference_value(id) gives a reference value or null.
# Output: trust_claims (AR4SI: 2 to 31 affirming, 32 to 95 warning, 96 up contraindicated); no extensions.
# Claims verified locally, simulated devices and all other evidence are contraindicated: nothing compares their
# measurements with what NVIDIA signed. Deny by default; a missing claim denies.
package policy

import rego.v1

default executables := 33

default hardware := 97

default configuration := 36

trust_claims := {"executables": executables, "hardware": hardware, "configuration": configuration}

extensions := []

# Trustee versions write these names with hyphens or with underscores.
claim(name) := object.get(input.nvidia, name, object.get(input.nvidia, replace(name, "-", "_"), null)) if {
	is_object(input.nvidia)
}

certificates_good(name) if {
	chain := claim(name)
	is_object(chain)
	member(chain, "x-nvidia-cert-status") == "valid"
	member(chain, "x-nvidia-cert-ocsp-status") == "good"
}

member(object_, name) := object.get(object_, name, object.get(object_, replace(name, "-", "_"), null))

listed(name, found) if {
	values := query_reference_value(concat("", ["sealflow.nvidia.", name]))
	is_array(values)
	is_string(found)
	found != ""
	found in values
}

# A report signed by a genuine, unrevoked device.
hardware := 2 if {
	certificates_good("x-nvidia-gpu-attestation-report-cert-chain")
	every name in ["cert-chain-fwid-match", "parsed", "signature-verified"] {
		claim(concat("", ["x-nvidia-gpu-attestation-report-", name])) == true
	}
	claim("x-nvidia-gpu-arch-check") == true
}

# Driver and VBIOS are what NVIDIA signed as golden measurements.
executables := 3 if {
	certificates_good("x-nvidia-gpu-driver-rim-cert-chain")
	certificates_good("x-nvidia-gpu-vbios-rim-cert-chain")
	every part in ["driver", "vbios"] {
		every name in ["fetched", "measurements-available", "schema-validated", "signature-verified", "version-match"] {
			claim(concat("", ["x-nvidia-gpu-", part, "-rim-", name])) == true
		}
	}
	claim("measres") == "success"
}

# Secure boot on, debugging off, and versions that the owner lists.
configuration := 2 if {
	claim("secboot") == true
	claim("dbgstat") == "disabled"
	listed("driver_versions", claim("x-nvidia-gpu-driver-version"))
	listed("vbios_versions", claim("x-nvidia-gpu-vbios-version"))
}
