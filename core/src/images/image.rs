//! One image of a store, and the sandboxes and commands that it describes.

use super::source::ImageSource;
use super::store::Store;
use crate::base::error::{Error, Result};
use crate::host::store::{IdsOnDisk, Layer, Record};
use crate::policy::{Ids, Overlay};
use crate::run::command::Command;
use crate::run::sandbox::Sandbox;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// The most bytes of `/etc/passwd` and `/etc/group` that are read.
const USERS_MAX: u64 = 1 << 20;

/// A file system with the software of another system, in a [`Store`]. It stays there as long as
/// this value, or a sandbox that uses it, exists.
///
/// ```no_run
/// # fn main() -> seclude::Result<()> {
/// let image = seclude::Image::from_oci("/srv/images/debian", Some("bookworm"))?;
/// let output = image.sandbox()?.command("cat").arg("/etc/os-release").output()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Image {
    store: Store,
    name: String,
    record: Record,
    layers: Arc<Vec<Layer>>,
}

impl Image {
    pub(super) fn new(
        store: Store,
        name: String,
        record: Record,
        layers: Arc<Vec<Layer>>,
    ) -> Image {
        Image { store, name, record, layers }
    }

    /// Imports an image from an OCI image layout into the caller's own store: see
    /// [`ImageSource::oci`] and [`Store::import`]. `reference` chooses one of several.
    pub fn from_oci(directory: impl AsRef<Path>, reference: Option<&str>) -> Result<Image> {
        Image::import(chosen(ImageSource::oci(directory), reference))
    }

    /// Imports an image from an archive of `docker save`, or of an OCI image layout: see
    /// [`ImageSource::archive`] and [`Store::import`]. `reference` chooses one of several.
    pub fn from_archive(file: impl AsRef<Path>, reference: Option<&str>) -> Result<Image> {
        Image::import(chosen(ImageSource::archive(file), reference))
    }

    /// Imports the files of a root from a tar archive: see [`ImageSource::tar`] and
    /// [`Store::import`].
    pub fn from_tar(file: impl AsRef<Path>) -> Result<Image> {
        Image::import(ImageSource::tar(file))
    }

    /// Imports the files of a root from a directory: see [`ImageSource::directory`] and
    /// [`Store::import`].
    pub fn from_directory(directory: impl AsRef<Path>) -> Result<Image> {
        Image::import(ImageSource::directory(directory))
    }

    fn import(source: ImageSource) -> Result<Image> {
        Store::open()?.import(&source, None)
    }

    /// The name in the store.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The digest of the manifest, or of what the image was imported from: `sha256:` and 64 digits.
    pub fn digest(&self) -> &str {
        &self.record.digest
    }

    /// The store that it is in.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The number of layers that are shown one above the other.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    /// The number of bytes in the files of its layers.
    pub fn bytes(&self) -> u64 {
        self.record.size.bytes
    }

    /// The number of entries in its layers.
    pub fn entries(&self) -> u64 {
        self.record.size.entries
    }

    /// The number of device nodes and sockets that were left out.
    pub fn left_out(&self) -> u64 {
        self.record.size.special
    }

    /// The environment of its commands, as names and values.
    pub fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        self.record.environment.iter().filter_map(|variable| variable.split_once('='))
    }

    /// The working directory of its commands.
    pub fn directory(&self) -> &Path {
        Path::new(&self.record.directory)
    }

    /// The user of its commands, and the group: `USER[:GROUP]`, as names or numbers. Empty if the
    /// image does not say it, which means root.
    pub fn user(&self) -> &str {
        &self.record.user
    }

    /// The program that it is for, with its arguments. Empty if the image does not say it.
    pub fn arguments(&self) -> &[String] {
        &self.record.command
    }

    pub(super) fn held(&self) -> &[Layer] {
        &self.layers
    }

    /// The overlay that shows the image at a path.
    pub fn overlay(&self, at: impl AsRef<Path>) -> Overlay {
        let none: [&Path; 0] = [];
        Overlay::new(none, at).image(&*self.name).store(self.store.path())
    }

    /// A sandbox with the image as its root, whose commands are the image's user.
    ///
    /// # Errors
    ///
    /// `Invalid` if the image has no user of that name.
    pub fn sandbox(&self) -> Result<Sandbox> {
        let (uid, gid) = self.ids()?;
        let sandbox = Sandbox::new().image(self).uid(uid).gid(gid);
        let has_range = |layer: &Layer| matches!(layer.key.ids(), IdsOnDisk::Range { .. });
        Ok(if self.layers.iter().any(has_range) { sandbox.ids(Ids::Range) } else { sandbox })
    }

    /// The command that the image is for, in [`Image::sandbox`]. Its environment, its working
    /// directory, its program and its arguments are the image's.
    ///
    /// # Errors
    ///
    /// `Invalid` if the image names no command, or no user of that name.
    pub fn command(&self) -> Result<Command> {
        self.command_in(&self.sandbox()?)
    }

    /// The same in another sandbox, which has the image as its root.
    ///
    /// # Errors
    ///
    /// `Invalid` if the image names no command.
    pub fn command_in(&self, sandbox: &Sandbox) -> Result<Command> {
        let (program, arguments) = self.record.command.split_first().ok_or_else(|| {
            Error::invalid(format!("run the image {}", self.name), "it names no command")
                .hint("name one: sandbox().command(…)")
        })?;
        let mut command = sandbox.command(program);
        command.args(arguments);
        self.describe(&mut command);
        Ok(command)
    }

    /// Gives a command the environment and the working directory of the image.
    pub fn describe(&self, command: &mut Command) {
        command.envs(self.environment()).current_dir(self.directory());
    }

    /// The numbers of the image's user and group.
    fn ids(&self) -> Result<(u32, u32)> {
        let (user, group) = match self.record.user.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (&*self.record.user, None),
        };
        let (uid, own_group) = match user {
            "" => (0, 0),
            user => self.find("user", "etc/passwd", user)?,
        };
        let gid = match group {
            None | Some("") => own_group,
            Some(group) => self.find("group", "etc/group", group)?.0,
        };
        Ok((uid, gid))
    }

    /// Finds a name in a list of users or groups: its number, and the number in the next field.
    fn find(&self, kind: &str, file: &str, wanted: &str) -> Result<(u32, u32)> {
        let number: Option<u32> = wanted.parse().ok();
        let list = self.read(file)?;
        for line in list.lines() {
            let mut fields = line.split(':');
            let (name, id) = (fields.next(), fields.nth(1).and_then(|id| id.parse().ok()));
            let Some(id) = id else { continue };
            if name == Some(wanted) || number == Some(id) {
                return Ok((id, fields.next().and_then(|next| next.parse().ok()).unwrap_or(0)));
            }
        }
        // A number needs no name.
        number.map(|number| (number, 0)).ok_or_else(|| {
            Error::invalid(
                format!("find the {kind} {wanted} of the image {}", self.name),
                format!("its /{file} has none of that name"),
            )
            .hint("set the ids of the sandbox yourself: Sandbox::uid, Sandbox::gid")
        })
    }

    /// Reads a small file of the image: that of the topmost layer that has it. Links are followed
    /// within the layer. Empty if no layer has it.
    fn read(&self, path: &str) -> Result<String> {
        for layer in self.layers.iter().rev() {
            let files = layer.files();
            let failed =
                |error| Error::io(format!("read /{path} of the image {}", self.name), error);
            let root = File::open(&files).map_err(failed)?;
            let how = OpenHow::new()
                .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
                .resolve(ResolveFlag::RESOLVE_IN_ROOT);
            let file = match openat2(&root, path, how) {
                // ENXIO: removed by this layer, which has a device node there.
                Err(Errno::ENXIO) => break,
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => continue,
                opened => File::from(opened.map_err(|errno| failed(errno.into()))?),
            };
            if !file.metadata().map_err(failed)?.is_file() {
                break;
            }
            let mut text = Vec::new();
            file.take(USERS_MAX).read_to_end(&mut text).map_err(failed)?;
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
        Ok(String::new())
    }
}

fn chosen(source: ImageSource, reference: Option<&str>) -> ImageSource {
    match reference {
        Some(name) => source.reference(name),
        None => source,
    }
}

impl Sandbox {
    /// Makes an image the root, which the command can change. The changes are in memory, at most
    /// 64 MiB: [`Image::overlay`] with [`Sandbox::entry`] sets another size, or keeps them.
    ///
    /// The ids stay those of this sandbox. [`Image::sandbox`] has the image's.
    pub fn image(self, image: &Image) -> Sandbox {
        self.entry(image.overlay("/"))
    }
}
