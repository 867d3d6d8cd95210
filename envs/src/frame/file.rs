//! Files that are there whole or not at all.

use std::io::{BufWriter, Result, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file under a temporary name in the same folder. It gets its own name when it is finished; dropped before, it
/// leaves nothing.
pub(super) struct NewFile {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
}

impl NewFile {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        #[cfg_attr(not(unix), expect(unused_mut, reason = "changed on Unix only"))]
        let mut builder = tempfile::Builder::new();
        // A temporary file is its owner's alone by default; these are for others too, as far as the umask allows.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::new(builder.tempfile_in(folder).map_err(without_temporary_name)?),
        })
    }

    pub(super) fn finish(self) -> Result<()> {
        let file = self.file.into_inner().map_err(|error| error.into_error())?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }
}

/// The error of the system, without a name that means nothing to anyone.
fn without_temporary_name(error: std::io::Error) -> std::io::Error {
    let text = error.to_string();
    std::io::Error::new(error.kind(), text.split(" at path ").next().unwrap_or_default().to_owned())
}
