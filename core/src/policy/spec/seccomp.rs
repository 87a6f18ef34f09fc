//! The key `seccomp`: the name of a profile, or a table with a profile and additional rules.

use super::text::{Key, nearest, suggest, unsigned_value};
use crate::base::error::Result;
use crate::policy::seccomp::{Action, Compare, Profile, Rule, Seccomp, Test};
use nix::errno::Errno;
use serde_json::{Map, Value, json};

/// The socket families with names in policies.
const FAMILIES: &[(&str, u16)] =
    &[("unix", 1), ("inet", 2), ("inet6", 10), ("netlink", 16), ("packet", 17), ("vsock", 40)];

pub fn read(key: &Key<'_>) -> Result<Seccomp> {
    if key.text().is_ok() {
        return Ok(profile(key)?.into());
    }
    key.members(&["profile", "socket_families", "rules", "otherwise", "errno"])?;
    let mut filter = Seccomp::profile(
        key.optional("profile").map_or(Ok(Profile::Default), |key| profile(&key))?,
    );
    for item in key.optional("socket_families").map_or(Ok(Vec::new()), |key| key.items())? {
        filter = filter.socket_family(family(&item)?);
    }
    for item in key.optional("rules").map_or(Ok(Vec::new()), |key| key.items())? {
        for rule in rules(&item)? {
            filter = filter.rule(rule);
        }
    }
    match key.optional("otherwise") {
        Some(name) => Ok(filter.otherwise(action(&name, key.optional("errno"))?)),
        None => Ok(filter),
    }
}

fn profile(key: &Key<'_>) -> Result<Profile> {
    key.one_of(Profile::ALL, Profile::name)
}

fn family(key: &Key<'_>) -> Result<u16> {
    if let Ok(name) = key.text() {
        let named = FAMILIES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
        let names: Vec<&str> = FAMILIES.iter().map(|(name, _)| *name).collect();
        return named.ok_or_else(|| {
            key.wrong(format!("{name:?} is none of {}, nor a number", names.join(", ")))
        });
    }
    key.unsigned_32()?.try_into().map_err(|_| key.wrong("is no family of sockets"))
}

/// Reads a table of `rules`. It expands to one rule for each call that it names.
fn rules(key: &Key<'_>) -> Result<Vec<Rule>> {
    key.members(&["call", "action", "errno", "when"])?;
    let action = action(&key.required("action")?, key.optional("errno"))?;
    let tests = key.optional("when").map_or(Ok(Vec::new()), |key| key.items())?;
    let tests: Vec<Test> = tests.iter().map(test).collect::<Result<_>>()?;
    let call = key.required("call")?;
    let calls = if call.text().is_ok() { vec![call] } else { call.items()? };
    let rule = |call: &Key<'_>| {
        Ok(tests.iter().fold(Rule::new(call.text()?, action), |rule, test| rule.when(*test)))
    };
    calls.iter().map(rule).collect()
}

fn action(key: &Key<'_>, errno: Option<Key<'_>>) -> Result<Action> {
    let name = key.text()?;
    if let (Some(errno), true) = (&errno, name != "deny") {
        return Err(errno.wrong("goes with the action deny only"));
    }
    match name.as_str() {
        "allow" => Ok(Action::Allow),
        "deny" => Ok(Action::Errno(errno.map_or(Ok(libc::EPERM), |key| error_number(&key))?)),
        "kill" => Ok(Action::Kill),
        "log" => Ok(Action::Log),
        "notify" => Ok(Action::Notify),
        _ => {
            const ACTIONS: [&str; 5] = ["allow", "deny", "kill", "log", "notify"];
            Err(suggest(
                key.wrong(format!("{name:?} is none of {}", ACTIONS.join(", "))),
                &name,
                &ACTIONS,
            ))
        }
    }
}

fn error_number(key: &Key<'_>) -> Result<i32> {
    let Ok(name) = key.text() else {
        return key.integer()?.try_into().map_err(|_| key.wrong("is no error number"));
    };
    let names: Vec<String> =
        (1..134).map(|number| format!("{:?}", Errno::from_raw(number))).collect();
    let found = names
        .iter()
        .position(|known| *known == name)
        .and_then(|place| i32::try_from(place + 1).ok());
    found.ok_or_else(|| {
        let error = key.wrong(format!("{name:?} is no error of errno(3)"));
        match nearest(&name, names.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint("a name such as EPERM, or a number"),
        }
    })
}

fn test(key: &Key<'_>) -> Result<Test> {
    key.members(&["arg", "is", "value", "mask", "wide"])?;
    let argument = key.required("arg")?;
    let number = argument.unsigned_32()?.try_into().map_err(|_| argument.wrong("is not 0 to 5"))?;
    let compare = key.required("is")?.one_of(Compare::ALL, Compare::name)?;
    let mut test = Test::new(number, compare, key.required("value")?.unsigned_64()?);
    if let Some(mask) = key.optional("mask") {
        test = test.masked(mask.unsigned_64()?);
    }
    Ok(if key.optional("wide").map_or(Ok(false), |key| key.flag())? { test.wide() } else { test })
}

// ---- writing

pub fn write(filter: &Seccomp) -> Value {
    if filter.rules.is_empty() && filter.otherwise.is_none() {
        return json!(filter.profile.name());
    }
    let mut object = Map::new();
    object.insert("profile".into(), json!(filter.profile.name()));
    if !filter.rules.is_empty() {
        object.insert("rules".into(), write_rules(&filter.rules));
    }
    if let Some(action) = filter.otherwise {
        write_action(&mut object, "otherwise", action);
    }
    Value::Object(object)
}

/// Writes rules. Consecutive rules that differ only in their calls become one table.
fn write_rules(rules: &[Rule]) -> Value {
    let alike = |one: &Rule, other: &Rule| one.action == other.action && one.tests == other.tests;
    let groups = rules.chunk_by(alike).map(|group| {
        let (rule, mut object) = (&group[0], Map::new());
        let calls: Vec<&str> = group.iter().map(|rule| &*rule.call).collect();
        object
            .insert("call".into(), if let [call] = calls[..] { json!(call) } else { json!(calls) });
        write_action(&mut object, "action", rule.action);
        if !rule.tests.is_empty() {
            object.insert("when".into(), rule.tests.iter().map(write_test).collect());
        }
        Value::Object(object)
    });
    groups.collect()
}

fn write_action(object: &mut Map<String, Value>, name: &str, action: Action) {
    let word = match action {
        Action::Allow => "allow",
        Action::Errno(_) => "deny",
        Action::Kill => "kill",
        Action::Log => "log",
        Action::Notify => "notify",
    };
    object.insert(name.into(), json!(word));
    if let Action::Errno(number) = action {
        let named = Errno::from_raw(number);
        object.insert(
            "errno".into(),
            if named == Errno::UnknownErrno { json!(number) } else { json!(format!("{named:?}")) },
        );
    }
}

fn write_test(test: &Test) -> Value {
    let mut object = Map::new();
    object.insert("arg".into(), json!(test.argument));
    object.insert("is".into(), json!(test.compare.name()));
    object.insert("value".into(), unsigned_value(test.value));
    if test.mask != u64::MAX {
        object.insert("mask".into(), unsigned_value(test.mask));
    }
    if test.wide {
        object.insert("wide".into(), json!(true));
    }
    Value::Object(object)
}
