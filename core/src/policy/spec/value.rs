//! Converts the values of a policy from and to text, by their Rust types.

use super::text::{Key, bytes_value, duration_value, limit_value, path_value};
use super::{files, seccomp};
use crate::base::error::Result;
use crate::policy::seccomp::Seccomp;
use crate::policy::{Capability, Clock, Cores, Entry, Ids, Namespace, Resource};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// A type of values that a key of a policy can have.
pub trait TextValue: Sized {
    fn read(key: &Key<'_>) -> Result<Self>;
    fn write(&self) -> Value;
}

macro_rules! text_values {
    ($($type:ty: |$key:ident| $read:expr, |$value:ident| $write:expr;)*) => {
        $(impl TextValue for $type {
            fn read($key: &Key<'_>) -> Result<$type> {
                $read
            }

            fn write(&self) -> Value {
                let $value = self;
                $write
            }
        })*
    };
}

text_values! {
    bool: |key| key.flag(), |flag| json!(flag);
    u16: |key| port(key), |port| json!(port);
    u32: |key| key.unsigned_32(), |number| json!(number);
    // 64-bit numbers count bytes or processes. For the latter a unit is unusual, but harmless.
    u64: |key| key.size(), |bytes| json!(bytes);
    String: |key| key.text(), |text| json!(text);
    PathBuf: |key| key.path(), |path| path_value(path);
    Duration: |key| key.duration(), |time| duration_value(*time);
    Cores: |key| key.number().map(Cores), |cores| json!(cores.0);
    Namespace: |key| key.one_of(Namespace::ALL, Namespace::name), |kind| json!(kind.name());
    Ids: |key| key.one_of(Ids::ALL, Ids::name), |ids| json!(ids.name());
    Capability: |key| key.one_of(Capability::ALL, Capability::name), |one| json!(one.name());
    // Binary data, such as a BPF program.
    Vec<u8>: |key| key.bytes(), |data| bytes_value(data);
    Entry: |key| Ok(files::read(key)?.tidied()), |entry| files::write(entry);
    Seccomp: |key| seccomp::read(key), |filter| seccomp::write(filter);
}

impl TextValue for BTreeMap<Clock, i64> {
    fn read(key: &Key<'_>) -> Result<BTreeMap<Clock, i64>> {
        key.named(Clock::ALL, Clock::name)?
            .into_iter()
            .map(|(clock, key)| Ok((clock, key.integer()?)))
            .collect()
    }

    fn write(&self) -> Value {
        Value::Object(
            self.iter().map(|(clock, seconds)| (clock.name().into(), json!(seconds))).collect(),
        )
    }
}

impl TextValue for BTreeMap<Resource, (u64, u64)> {
    fn read(key: &Key<'_>) -> Result<BTreeMap<Resource, (u64, u64)>> {
        key.named(Resource::ALL, Resource::name)?
            .into_iter()
            .map(|(resource, key)| Ok((resource, rlimit(&key)?)))
            .collect()
    }

    fn write(&self) -> Value {
        let both = |(soft, hard): &(u64, u64)| json!([limit_value(*soft), limit_value(*hard)]);
        Value::Object(
            self.iter().map(|(resource, limit)| (resource.name().into(), both(limit))).collect(),
        )
    }
}

/// `None` is the default of every optional key, and a default is never written.
impl<T: TextValue> TextValue for Option<T> {
    fn read(key: &Key<'_>) -> Result<Option<T>> {
        T::read(key).map(Some)
    }

    fn write(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::write)
    }
}

impl<T: TextValue> TextValue for Vec<T> {
    fn read(key: &Key<'_>) -> Result<Vec<T>> {
        key.items()?.iter().map(T::read).collect()
    }

    fn write(&self) -> Value {
        self.iter().map(T::write).collect()
    }
}

impl<T: TextValue + Ord> TextValue for BTreeSet<T> {
    fn read(key: &Key<'_>) -> Result<BTreeSet<T>> {
        key.items()?.iter().map(T::read).collect()
    }

    fn write(&self) -> Value {
        self.iter().map(T::write).collect()
    }
}

fn port(key: &Key<'_>) -> Result<u16> {
    key.unsigned_32()?
        .try_into()
        .map_err(|_| key.wrong("is no port").hint("a port is a number from 0 to 65535"))
}

fn rlimit(key: &Key<'_>) -> Result<(u64, u64)> {
    match key.items() {
        Ok(pair) => match pair.as_slice() {
            [soft, hard] => Ok((soft.limit()?, hard.limit()?)),
            _ => Err(key.wrong("must be a number, or a soft and a hard one")),
        },
        Err(_) => key.limit().map(|both| (both, both)),
    }
}
