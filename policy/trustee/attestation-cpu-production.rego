# Purpose: appraisal of a confidential guest, policy id default_cpu. Run by the Trustee attestation service once per handshake.
# Input: the verified claims of the evidence; query_reference_value(id) gives a reference value or null.
# Output: trust_claims (AR4SI: 2 to 31 affirming, 32 to 95 warning, 96 up contraindicated) and extensions of the token.
# Accepts snp, tdx, az-snp-vtpm and az-tdx-vtpm with registered measurements, TCB at least the registered minimum and
# debugging off. Simulated (`sample`), generic `tpm` and all other evidence is contraindicated, whatever is registered.
package policy

import rego.v1

default executables := 33

default hardware := 97

default configuration := 36

trust_claims := {"executables": executables, "hardware": hardware, "configuration": configuration}

# Exactly one kind of evidence; a document with two is none.
kinds := {k | some k in ["snp", "tdx", "az-snp-vtpm", "az-tdx-vtpm", "sample", "tpm", "sgx", "cca", "csv", "se", "hygondcu"]; is_object(input[k])}

tee := kind if {
	count(kinds) == 1
	some kind in kinds
	kind in ["snp", "tdx", "az-snp-vtpm", "az-tdx-vtpm"]
}

# Reference value of this kind of TEE: sealflow.<tee>.<name>.
reference(name) := query_reference_value(concat("", ["sealflow.", tee, ".", name]))

listed(name, found) if {
	values := reference(name)
	is_array(values)
	is_string(found)
	found != ""
	found in values
}

# --- AMD SEV-SNP: launch measurement; firmware versions; guest policy.
snp_versions := ["bootloader", "microcode", "snp", "tee"]

at_least_minimum(claims) if {
	minimum := reference("minimum_tcb")
	is_object(minimum)
	every part in snp_versions {
		is_number(minimum[part])
		version_number(claims[concat("", ["reported_tcb_", part])]) >= minimum[part]
	}
}

# A number, or its decimal text on Azure; null and everything else is no version.
version_number(v) := v if is_number(v)

version_number(v) := to_number(v) if {
	is_string(v)
	regex.match("^[0-9]{1,3}$", v)
}

measurement := input[tee].measurement if tee in ["snp", "az-snp-vtpm"]

executables := 3 if {
	tee == "snp"
	listed("measurement", measurement)
}

# On Azure the firmware is measured by the platform, the guest image by PCR 11.
executables := 3 if {
	tee == "az-snp-vtpm"
	listed("measurement", measurement)
	listed("pcr11", input[tee].tpm.pcr11)
}

hardware := 2 if {
	tee in ["snp", "az-snp-vtpm"]
	at_least_minimum(input[tee])
}

configuration := 2 if {
	tee == "snp"
	input.snp.policy_debug_allowed == false
	input.snp.policy_migrate_ma == false
	is_object(input.init_data_claims)
}

configuration := 2 if {
	tee == "az-snp-vtpm"
	input[tee].policy_debug_allowed == "false"
	input[tee].policy_migrate_ma == "false"
	is_object(input.init_data_claims)
}

# --- Intel TDX: firmware by MRTD, kernel and its command line by RTMR 1 and 2 (Azure: PCR 11); TCB by Intel's collateral.
measurement := input[tee].quote.body.mr_td if tee in ["tdx", "az-tdx-vtpm"]

executables := 3 if {
	tee == "tdx"
	listed("mr_td", measurement)
	listed("rtmr_1", input.tdx.quote.body.rtmr_1)
	listed("rtmr_2", input.tdx.quote.body.rtmr_2)
}

executables := 3 if {
	tee == "az-tdx-vtpm"
	listed("mr_td", measurement)
	listed("pcr11", input[tee].tpm.pcr11)
}

hardware := 2 if {
	tee in ["tdx", "az-tdx-vtpm"]
	input[tee].tcb_status == "UpToDate"
	input[tee].collateral_expiration_status == "0"
	listed("xfam", input[tee].quote.body.xfam)
}

configuration := 2 if {
	tee in ["tdx", "az-tdx-vtpm"]
	input[tee].td_attributes.debug == false
	regex.match(harmless_attributes, input[tee].quote.body.td_attributes)
	is_object(input.init_data_claims)
}

# All 64, little endian, because Trustee names only some: SEPT_VE_DISABLE, LASS, PKS, KL and PERFMON may be set. Not
# MIGRATABLE: the host would choose who gets the TD's memory. Not the low byte, which makes a TD one under debugging.
harmless_attributes := "^000000[014589cd][08]000000[08]0$"

# --- The grant of this guest: reference value sealflow.grant.<initdata digest as reported>, written by its owner.
# {"tee": "…", "paths": ["repository/type/tag", …], "measurements"?: […], "require"?: ["gpu0", …]}; anything else grants
# nothing. Base64 digests are written base64url without padding, hexadecimal ones are the same either way.
default grant := {"paths": [], "require": []}

grant := {"paths": value.paths, "require": require} if {
	is_object(input.init_data_claims)
	is_string(input.init_data)
	id := trim_right(replace(replace(input.init_data, "+", "-"), "/", "_"), "=")
	regex.match("^[A-Za-z0-9_-]{40,200}$", id)
	value := query_reference_value(concat("", ["sealflow.grant.", id]))
	is_object(value)
	value.tee == tee
	is_array(value.paths)
	count(value.paths) <= 300
	every path in value.paths {
		is_string(path)
		regex.match("^[A-Za-z0-9_-][A-Za-z0-9_.-]*/[A-Za-z0-9_-][A-Za-z0-9_.-]*/[A-Za-z0-9_-][A-Za-z0-9_.-]*$", path)
	}
	require := object.get(value, "require", [])
	is_array(require)
	every device in require {
		is_string(device)
		regex.match("^[a-z]{1,12}[0-9]{1,2}$", device)
	}
	measured_as(object.get(value, "measurements", null))
}

# A grant may narrow the measurements that the reference values admit.
measured_as(measurements) if measurements == null

measured_as(measurements) if {
	is_array(measurements)
	measurement in measurements
}

extensions := [{"name": "ear.sealflow.grant", "key": -70101, "value": grant}]
