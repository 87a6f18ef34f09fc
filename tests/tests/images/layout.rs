//! Image layouts and archives of `docker save`, which are made of archives of layers.

use crate::tree::{Archive, dir, file};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Write;
use std::path::Path;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Packing {
    pub fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Packing::None => bytes.to_vec(),
            Packing::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(bytes).expect("memory");
                encoder.finish().expect("memory")
            }
            Packing::Zstd => ruzstd::encoding::compress_to_vec(
                bytes,
                ruzstd::encoding::CompressionLevel::Fastest,
            ),
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Packing::None => "",
            Packing::Gzip => "+gzip",
            Packing::Zstd => "+zstd",
        }
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A layout that is being made. Each part can be replaced before it is written.
#[derive(Debug)]
pub struct Layout<'a> {
    pub directory: &'a Path,
}

impl<'a> Layout<'a> {
    pub fn new(directory: &'a Path) -> Layout<'a> {
        fs::create_dir_all(directory.join("blobs/sha256")).expect("there is room");
        let layout = Layout { directory };
        layout.write("oci-layout", &json!({ "imageLayoutVersion": "1.0.0" }));
        layout
    }

    /// The whole layout of an image with these layers, called `latest`.
    pub fn of(directory: &'a Path, layers: &[Vec<u8>], packing: Packing) -> Layout<'a> {
        let layout = Layout::new(directory);
        let manifest = layout.image(layers, packing);
        layout.index(&[manifest]);
        layout
    }

    pub fn write(&self, name: &str, value: &Value) {
        fs::write(self.directory.join(name), value.to_string()).expect("there is room");
    }

    /// Writes a blob. Returns its descriptor.
    pub fn blob(&self, kind: &str, bytes: &[u8]) -> Value {
        let digest = sha256(bytes);
        fs::write(self.directory.join("blobs/sha256").join(&digest), bytes).expect("there is room");
        json!({ "mediaType": kind, "digest": format!("sha256:{digest}"), "size": bytes.len() })
    }

    pub fn text(&self, kind: &str, value: &Value) -> Value {
        self.blob(
            &format!("application/vnd.oci.image.{kind}.v1+json"),
            value.to_string().as_bytes(),
        )
    }

    pub fn layer(&self, bytes: &[u8], packing: Packing) -> Value {
        let kind = format!("application/vnd.oci.image.layer.v1.tar{}", packing.suffix());
        self.blob(&kind, &packing.pack(bytes))
    }

    /// Writes an image. Returns the descriptor of its manifest.
    pub fn image(&self, layers: &[Vec<u8>], packing: Packing) -> Value {
        let contents: Vec<String> =
            layers.iter().map(|layer| format!("sha256:{}", sha256(layer))).collect();
        let layers = layers.iter().map(|layer| self.layer(layer, packing)).collect();
        self.manifest(layers, &contents)
    }

    pub fn manifest(&self, layers: Vec<Value>, contents: &[String]) -> Value {
        let config = json!({
            "architecture": architecture(), "os": "linux",
            "config": { "Env": ["PATH=/bin"], "Cmd": ["/bin/sh"] },
            "rootfs": { "type": "layers", "diff_ids": contents },
        });
        let config = self.text("config", &config);
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers });
        let mut manifest = self.text("manifest", &manifest);
        manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
        manifest
    }

    pub fn index(&self, manifests: &[Value]) {
        self.write("index.json", &json!({ "schemaVersion": 2, "manifests": manifests }));
    }
}

pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// An archive as `docker save` writes it.
pub fn saved(layers: &[Vec<u8>]) -> Archive {
    let contents: Vec<String> =
        layers.iter().map(|layer| format!("sha256:{}", sha256(layer))).collect();
    let config = json!({ "rootfs": { "type": "layers", "diff_ids": contents } }).to_string();
    let names: Vec<String> =
        layers.iter().map(|layer| format!("{}/layer.tar", sha256(layer))).collect();
    let manifest = json!([{ "Config": "config.json", "RepoTags": ["it:latest"], "Layers": names }])
        .to_string();
    let mut archive = Archive::default();
    for (name, layer) in names.iter().zip(layers) {
        archive = archive.node(&dir(sha256(layer))).node(&file(name, layer));
    }
    archive.node(&file("config.json", config)).node(&file("manifest.json", manifest))
}
