# DEVELOPMENT ONLY: accepts `sample` evidence, which anybody can make. Never install it on a KBS that holds real keys.
# Purpose: appraisal of a simulated guest, policy id default_cpu. Run by the Trustee attestation service once per handshake.
# Input: the claims of the evidence; query_reference_value(id) gives a reference value or null.
# Output: trust_claims (AR4SI: 2 to 31 affirming, 32 to 95 warning, 96 up contraindicated) and extensions of the token.
package policy

import rego.v1

default executables := 33

default hardware := 97

default configuration := 36

trust_claims := {"executables": executables, "hardware": hardware, "configuration": configuration}

tee := "sample" if is_object(input.sample)

measurement := input.sample.launch_digest

executables := 3 if {
	tee == "sample"
	is_string(measurement)
}

hardware := 2 if tee == "sample"

configuration := 2 if {
	tee == "sample"
	input.sample.debug == false
	is_object(input.init_data_claims)
}

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
