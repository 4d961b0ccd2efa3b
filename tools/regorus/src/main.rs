//! Reads one JSON command per line: {"policy": text, "rule": "data.policy.allow", "input": any, "data": object,
//! "references"?: {id: value}}. Answers one line each: {"value": any}, {"undefined": true} or {"error": text}.
//! The engine is set up as in the Kata agent (src/agent/policy) and in Trustee (deps/policy-engine).

use regorus::{Engine, Value};
use std::io::{BufRead, Write};
use std::sync::Arc;

type Failure = Box<dyn std::error::Error>;

fn engine_for(policy: &str) -> Result<Engine, Failure> {
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(false);
    engine.add_policy("policy.rego".to_string(), policy.to_string())?;
    Ok(engine)
}

fn decide(engine: &Engine, command: &serde_json::Value) -> Result<serde_json::Value, Failure> {
    let mut engine = engine.clone();
    engine.clear_data();
    engine.add_data(Value::from_json_str(&command["data"].to_string())?)?;
    engine.set_input(Value::from_json_str(&command["input"].to_string())?);
    let references = Arc::new(command["references"].clone());
    engine.add_extension(
        "query_reference_value".to_string(),
        1,
        Box::new(move |args: Vec<Value>| {
            let id = args[0].as_string()?.to_string();
            let found = references
                .get(&id)
                .cloned()
                .unwrap_or(serde_json::Value::Null);
            Value::from_json_str(&found.to_string())
        }),
    )?;
    let rule = command["rule"].as_str().ok_or("rule is missing")?;
    // A query as in the agent: a rule that does not exist, or has no value, gives no result.
    let results = engine.eval_query(rule.to_string(), false)?;
    let value = match results.result.first().and_then(|r| r.expressions.first()) {
        Some(expression) if expression.value != Value::Undefined => &expression.value,
        _ => return Ok(serde_json::json!({ "undefined": true })),
    };
    let json: serde_json::Value = serde_json::from_str(&value.to_json_str()?)?;
    Ok(serde_json::json!({ "value": json }))
}

fn main() -> Result<(), Failure> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut current: Option<(String, Engine)> = None;
    for line in std::io::stdin().lock().lines() {
        let command: serde_json::Value = serde_json::from_str(&line?)?;
        let policy = command["policy"].as_str().ok_or("policy is missing")?;
        let answer = (|| -> Result<serde_json::Value, Failure> {
            if current.as_ref().map(|(text, _)| text.as_str()) != Some(policy) {
                current = Some((policy.to_string(), engine_for(policy)?));
            }
            let (_, engine) = current.as_ref().ok_or("no engine")?;
            decide(engine, &command)
        })();
        let answer = answer.unwrap_or_else(|e| serde_json::json!({ "error": e.to_string() }));
        writeln!(out, "{answer}")?;
    }
    out.flush()?;
    Ok(())
}
