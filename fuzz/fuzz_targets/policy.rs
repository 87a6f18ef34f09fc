//! A policy as text. A policy that is read and valid must be the same after it was written in
//! either format, and must compile to filters and a plan. And a text as a CDI specification, which
//! must show nothing that it may not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seclude::Sandbox;

fuzz_target!(|text: &str| {
    seclude::fuzzing::specification(text);
    for sandbox in [Sandbox::from_json(text), Sandbox::from_toml(text)].into_iter().flatten() {
        let json = sandbox.to_json().expect("what was read can be written");
        assert_eq!(Sandbox::from_json(&json).as_ref(), Ok(&sandbox), "{json}");
        let toml = sandbox.to_toml().expect("what was read can be written");
        assert_eq!(Sandbox::from_toml(&toml).as_ref(), Ok(&sandbox), "{toml}");
        if sandbox.check().is_ok() {
            seclude::fuzzing::compile(&sandbox);
        }
    }
});
