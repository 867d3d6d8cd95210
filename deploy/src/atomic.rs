//! Files that are there whole or not at all.

use std::io::{Error, Result, Write};
use std::path::Path;

/// Writes `bytes` under a temporary name in the same folder and renames it to `path`, so that a crash, a full disk or
/// a second writer never leaves half a file there, nor destroys the one that was there before.
///
/// # Errors
/// If the folder does not exist or the file cannot be written.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // A temporary file is its owner's alone by default; these are for others too, as far as the umask allows.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(|error| {
        // Without the temporary name, which means nothing to anyone.
        let text = error.to_string();
        Error::new(error.kind(), text.split(" at path ").next().unwrap_or_default().to_owned())
    })?;
    file.as_file_mut().write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_the_file_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "usual").unwrap();
        #[cfg(unix)]
        let mode = || std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        #[cfg(unix)]
        let usual = mode();
        write_atomically(&path, b"whole").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        #[cfg(unix)]
        assert_eq!(mode(), usual, "as readable as any other file");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let error = write_atomically(&folder.path().join("missing/file"), b"").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        assert!(!error.to_string().contains("tmp"), "{error}");
    }
}
