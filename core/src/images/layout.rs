//! The manifests of image layouts: those of the OCI image specification, and those that
//! `docker save` writes. All of it may be hostile; every digest is checked when its blob is read.

use super::blobs::Blobs;
use super::stream::sha256;
use crate::base::error::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// How deep indexes refer to indexes.
const DEPTH_MAX: usize = 8;
/// The most layers of an image.
const LAYERS_MAX: usize = 1000;

/// The annotation with the name of an image in a layout.
const NAME: &str = "org.opencontainers.image.ref.name";
/// The one in which containerd and Docker put the whole name.
const FULL_NAME: &str = "io.containerd.image.name";

/// An image of a layout.
#[derive(Debug)]
pub struct Manifest {
    /// The digest of the manifest, or of the configuration for `docker save`.
    pub digest: String,
    pub layers: Vec<Layer>,
    pub config: Config,
}

/// One layer of a manifest.
#[derive(Debug)]
pub struct Layer {
    /// The name of its blob in the layout.
    pub blob: String,
    /// The digest and the size of the blob, if the manifest has them.
    pub packed: Option<(String, u64)>,
    /// The digest of the archive in the blob.
    pub contents: String,
}

/// What an image says about its commands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    pub environment: Vec<String>,
    pub directory: String,
    pub user: String,
    pub command: Vec<String>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Deserialize)]
struct OciManifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedManifest {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct ImageConfig {
    config: Option<Process>,
    rootfs: Files,
}

#[derive(Deserialize)]
struct Files {
    diff_ids: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Process {
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
    user: Option<String>,
}

/// Finds the image that `reference` names, or the only one.
///
/// # Errors
///
/// `SourceMissing` if there is none of that name, with those that there are. `Invalid` if a
/// manifest is damaged.
pub fn find(blobs: &Blobs, reference: Option<&str>) -> Result<Manifest> {
    if blobs.has("index.json") {
        let index: Index = json(blobs, "index.json", &blobs.text("index.json")?)?;
        let chosen = choose(blobs, index, reference)?;
        return from_manifest(blobs, &chosen);
    }
    if blobs.has("manifest.json") {
        return saved(blobs, reference);
    }
    Err(Error::invalid(
        format!("read {}", blobs.path().display()),
        "it is no image layout: it has no index.json and no manifest.json",
    )
    .hint("a directory or an archive with the files of a root is imported as such")
    .at(blobs.path()))
}

/// The descriptor of the one image that is meant.
fn choose(blobs: &Blobs, index: Index, reference: Option<&str>) -> Result<Descriptor> {
    let names = |descriptor: &Descriptor| -> Vec<String> {
        [FULL_NAME, NAME]
            .iter()
            .filter_map(|key| descriptor.annotations.get(*key))
            .cloned()
            .collect()
    };
    let known: Vec<String> = index.manifests.iter().flat_map(names).collect();
    let named = |descriptor: &Descriptor| {
        reference.is_none_or(|wanted| names(descriptor).iter().any(|name| name == wanted))
    };
    let mut found: Vec<Descriptor> = index.manifests.into_iter().filter(named).collect();
    for _ in 0..DEPTH_MAX {
        // Of several platforms, this machine's.
        if found.len() > 1 {
            found.retain(|descriptor| descriptor.platform.as_ref().is_none_or(is_this_machine));
        }
        let chosen = one(blobs, &mut found, reference, &known)?;
        let is_index = chosen.media_type.ends_with("image.index.v1+json")
            || chosen.media_type.ends_with("manifest.list.v2+json");
        if !is_index {
            return Ok(chosen);
        }
        let index: Index = json(blobs, "an index", &verified(blobs, &chosen)?)?;
        found = index.manifests;
        found.retain(|descriptor| descriptor.platform.as_ref().is_none_or(is_this_machine));
    }
    Err(Error::invalid(format!("read {}", blobs.path().display()), "its indexes lead in a circle"))
}

fn one(
    blobs: &Blobs,
    found: &mut Vec<Descriptor>,
    reference: Option<&str>,
    known: &[String],
) -> Result<Descriptor> {
    match (found.pop(), found.is_empty()) {
        (Some(chosen), true) => Ok(chosen),
        (last, _) => {
            let shown = blobs.path().display();
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            let error = match last {
                None => {
                    let wanted = reference.map(|name| format!(" {name}")).unwrap_or_default();
                    Error::new(
                        ErrorKind::SourceMissing,
                        format!("find the image{wanted} in {shown}"),
                    )
                    .because("there is none for this machine's architecture or of that name")
                }
                Some(_) => Error::invalid(format!("find the image in {shown}"), "it has several"),
            };
            Err(error.hint(format!("choose one by its name, of which it has: {known}")))
        }
    }
}

fn is_this_machine(platform: &Platform) -> bool {
    platform.os == "linux" && platform.architecture == super::export::architecture()
}

fn from_manifest(blobs: &Blobs, descriptor: &Descriptor) -> Result<Manifest> {
    let manifest: OciManifest = json(blobs, "a manifest", &verified(blobs, descriptor)?)?;
    let config: ImageConfig = json(blobs, "a configuration", &verified(blobs, &manifest.config)?)?;
    let contents = config.rootfs.diff_ids.unwrap_or_default();
    let layers = manifest.layers.iter().map(|layer| {
        let digest = hexadecimal(&layer.digest)?;
        Ok((format!("blobs/sha256/{digest}"), Some((digest, layer.size))))
    });
    let layers = with_contents(blobs, layers.collect::<Result<_>>()?, &contents)?;
    Ok(Manifest { digest: descriptor.digest.clone(), layers, config: process(config.config) })
}

/// An image of `docker save`.
fn saved(blobs: &Blobs, reference: Option<&str>) -> Result<Manifest> {
    let all: Vec<SavedManifest> = json(blobs, "manifest.json", &blobs.text("manifest.json")?)?;
    let names = |manifest: &SavedManifest| manifest.repo_tags.clone().unwrap_or_default();
    let known: Vec<String> = all.iter().flat_map(names).collect();
    let mut found: Vec<SavedManifest> = all
        .into_iter()
        .filter(|manifest| {
            reference.is_none_or(|wanted| names(manifest).iter().any(|name| name == wanted))
        })
        .collect();
    let chosen = match (found.pop(), found.is_empty()) {
        (Some(chosen), true) => chosen,
        _ => {
            let shown = blobs.path().display();
            return Err(Error::new(ErrorKind::SourceMissing, format!("find the image in {shown}"))
                .because("it has none of that name, or several")
                .hint(format!("choose one by its name, of which it has: {}", known.join(", "))));
        }
    };
    let text = blobs.text(&chosen.config)?;
    let config: ImageConfig = json(blobs, "a configuration", &text)?;
    let contents = config.rootfs.diff_ids.unwrap_or_default();
    let layers = chosen.layers.into_iter().map(|blob| (blob, None)).collect();
    let layers = with_contents(blobs, layers, &contents)?;
    Ok(Manifest {
        digest: format!("sha256:{}", sha256(&text)),
        layers,
        config: process(config.config),
    })
}

fn with_contents(
    blobs: &Blobs,
    layers: Vec<(String, Option<(String, u64)>)>,
    contents: &[String],
) -> Result<Vec<Layer>> {
    let wrong = |why: String| {
        Err(Error::invalid(format!("read the manifest of {}", blobs.path().display()), why))
    };
    if layers.is_empty() || layers.len() > LAYERS_MAX {
        return wrong(format!("it has {} layers, and 1 to {LAYERS_MAX} are read", layers.len()));
    }
    if layers.len() != contents.len() {
        return wrong(format!(
            "it has {} layers, and its configuration has the digests of {}",
            layers.len(),
            contents.len()
        ));
    }
    let layers = layers.into_iter().zip(contents);
    layers
        .map(|((blob, packed), contents)| {
            Ok(Layer { blob, packed, contents: hexadecimal(contents)? })
        })
        .collect()
}

fn process(process: Option<Process>) -> Config {
    let Process { env, entrypoint, cmd, working_dir, user } = process.unwrap_or_default();
    Config {
        environment: env.unwrap_or_default(),
        directory: working_dir.filter(|path| path.starts_with('/')).unwrap_or_else(|| "/".into()),
        user: user.unwrap_or_default(),
        command: entrypoint.into_iter().chain(cmd).flatten().collect(),
    }
}

/// The text of a descriptor, whose size and digest are as it says.
fn verified(blobs: &Blobs, descriptor: &Descriptor) -> Result<Vec<u8>> {
    let digest = hexadecimal(&descriptor.digest)?;
    let text = blobs.text(&format!("blobs/sha256/{digest}"))?;
    if text.len() as u64 != descriptor.size || sha256(&text) != digest {
        return Err(mismatch(&digest));
    }
    Ok(text)
}

/// The error for contents that are not those of their digest.
pub fn mismatch(digest: &str) -> Error {
    Error::invalid(
        format!("check the digest sha256:{digest}"),
        "the contents have another digest or size: they are damaged, or were changed",
    )
}

/// The digits of a digest. It becomes a part of a path, so it has no other characters.
fn hexadecimal(digest: &str) -> Result<String> {
    let digits = digest.strip_prefix("sha256:").unwrap_or_default();
    let is_known = digits.len() == 64
        && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if is_known {
        return Ok(digits.to_owned());
    }
    let shown: String = digest.chars().take(80).collect();
    Err(Error::invalid(format!("read the digest {shown:?}"), "it is no SHA-256 digest"))
}

fn json<T: DeserializeOwned>(blobs: &Blobs, what: &str, text: &[u8]) -> Result<T> {
    serde_json::from_slice(text).map_err(|error| {
        let what = format!("read {what} of {}", blobs.path().display());
        Error::invalid(what, error.to_string())
    })
}
