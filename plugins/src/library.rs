//! A loaded shared library: its table and the kinds of environment that it offers, looked at before they are trusted.

use crate::abi::{self, Info, Table};
use apprentice_envs::Error;
use std::ffi::{CStr, c_char};
use std::path::Path;
use std::sync::Arc;

/// More than any plugin offers: a larger number is a mistake.
const MAX_KINDS: u32 = 4096;
/// Longer texts than this are taken for ones without an end.
const MAX_TEXT: usize = 1 << 20;

/// The functions of a plugin that keeps to the interface. Whoever holds it keeps the library loaded.
pub(crate) struct Library {
    pub(crate) functions: Functions,
    /// The file, for messages.
    path: String,
    /// Last, so that the functions are gone before it is.
    _handle: Option<libloading::Library>,
}

/// The table without what may be missing.
pub(crate) struct Functions {
    pub(crate) create: abi::Create,
    pub(crate) destroy: abi::Destroy,
    pub(crate) observation_space: abi::SpaceFn,
    pub(crate) action_space: abi::SpaceFn,
    pub(crate) reset: abi::Reset,
    pub(crate) step: abi::StepFn,
    pub(crate) save: abi::Save,
    pub(crate) load: abi::Load,
    pub(crate) action_mask: Option<abi::ActionMask>,
    pub(crate) render_text: Option<abi::Save>,
    pub(crate) render_rgb: Option<abi::RenderRgb>,
}

/// What a plugin says of a kind of environment.
pub(crate) struct KindInfo {
    pub(crate) id: String,
    pub(crate) max_episode_steps: Option<u32>,
    pub(crate) reward_threshold: Option<f64>,
    pub(crate) page: String,
}

impl Library {
    /// Loads a file. That runs code in it, with all the rights of this process.
    pub(crate) fn open(path: &Path) -> Result<(Arc<Self>, Vec<KindInfo>), Error> {
        let fails = |what: String| Error::config(format!("plugin {}: {what}", path.display()));
        // With a bare name the system would look in its own folders.
        let file = path.canonicalize().map_err(|e| fails(format!("cannot be read: {e}")))?;
        if !file.is_file() {
            return Err(fails("expected a shared library (.so, .dylib, .dll), got something that is no file".into()));
        }
        check_length(&file).map_err(fails)?;
        // SAFETY: the library's initialisers run. The user named the file in order to run what is in it.
        let handle = unsafe { libloading::Library::new(&file) }.map_err(|e| {
            // libloading's own words leave out the system's, which name what is missing.
            let system = std::error::Error::source(&e).map_or_else(|| e.to_string(), ToString::to_string);
            fails(format!(
                "cannot be loaded: expected a shared library for this machine, but the system says: {system}"
            ))
        })?;
        // SAFETY: a function of this name has the type that the header gives it.
        let entry = unsafe { handle.get::<abi::Entry>(abi::ENTRY) }.map(|symbol| *symbol).map_err(|_| {
            fails(format!(
                "is a shared library but no plugin of Apprentice: expected that it exports the function {}; see \
                 apprentice_env.h",
                abi::ENTRY
            ))
        })?;
        // SAFETY: it has the type that the header gives it, and the library is loaded.
        let table = unsafe { entry() };
        // SAFETY: the library gave this pointer, and the handle is kept.
        unsafe { Self::from_table(table, path.display().to_string(), Some(handle)) }
    }

    /// Looks at a table and at all that it says.
    ///
    /// # Safety
    /// `table` is null or points to a table as the header describes it, of whatever version, which stays as long as
    /// `handle` lives.
    pub(crate) unsafe fn from_table(
        table: *const Table,
        path: String,
        handle: Option<libloading::Library>,
    ) -> Result<(Arc<Self>, Vec<KindInfo>), Error> {
        let fails = |what: String| Error::config(format!("plugin {path}: {what}"));
        if table.is_null() || !table.is_aligned() {
            return Err(fails(format!("{} returned no table", abi::ENTRY)));
        }
        // SAFETY: the first two fields are there in every version.
        let (abi_version, struct_size) = unsafe { ((*table).abi_version, (*table).struct_size as usize) };
        if abi_version != abi::ABI_VERSION {
            let (expected, side) = (abi::ABI_VERSION, if abi_version > abi::ABI_VERSION { "host" } else { "plugin" });
            return Err(fails(format!(
                "abi_version: expected {expected}, got {abi_version}; build a newer {side} against the header"
            )));
        }
        if struct_size < size_of::<Table>() {
            return Err(fails(format!(
                "struct_size: expected at least {}, got {struct_size}; set it to sizeof(apprentice_plugin_table)",
                size_of::<Table>()
            )));
        }
        // SAFETY: it is as large as the table that is read.
        let table = unsafe { *table };
        let functions = Functions::from_table(&table).map_err(fails)?;
        let info = table.info.ok_or_else(|| fails(missing("info")))?;
        if !(1..=MAX_KINDS).contains(&table.num_kinds) {
            let got = table.num_kinds;
            return Err(fails(format!("num_kinds: expected 1 to {MAX_KINDS}, got {got}")));
        }
        let read = |kind| {
            // SAFETY: `kind` is one of num_kinds, and the pointer is what the header says it is.
            unsafe { KindInfo::read(info(kind)) }.map_err(|what| fails(format!("info({kind}): {what}")))
        };
        let kinds = (0..table.num_kinds).map(read).collect::<Result<Vec<_>, _>>()?;
        for (i, kind) in kinds.iter().enumerate() {
            if let Some(twin) = kinds[..i].iter().position(|other| other.id == kind.id) {
                return Err(fails(format!("info({twin}) and info({i}) have the same id {}", kind.id)));
            }
        }
        Ok((Arc::new(Self { functions, path, _handle: handle }), kinds))
    }

    /// The file, as the user named it.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

fn missing(function: &str) -> String {
    format!("the table has no function {function}: expected one, got NULL")
}

impl Functions {
    fn from_table(table: &Table) -> Result<Self, String> {
        Ok(Self {
            create: table.create.ok_or_else(|| missing("create"))?,
            destroy: table.destroy.ok_or_else(|| missing("destroy"))?,
            observation_space: table.observation_space.ok_or_else(|| missing("observation_space"))?,
            action_space: table.action_space.ok_or_else(|| missing("action_space"))?,
            reset: table.reset.ok_or_else(|| missing("reset"))?,
            step: table.step.ok_or_else(|| missing("step"))?,
            save: table.save.ok_or_else(|| missing("save"))?,
            load: table.load.ok_or_else(|| missing("load"))?,
            action_mask: table.action_mask,
            render_text: table.render_text,
            render_rgb: table.render_rgb,
        })
    }
}

impl KindInfo {
    /// # Safety
    /// `info` is null or points to a structure as the header describes it, of whatever version.
    unsafe fn read(info: *const Info) -> Result<Self, String> {
        if info.is_null() || !info.is_aligned() {
            return Err("expected an apprentice_env_info, got NULL".into());
        }
        // SAFETY: the first field is there in every version.
        let struct_size = unsafe { (*info).struct_size as usize };
        if struct_size < size_of::<Info>() {
            let expected = size_of::<Info>();
            return Err(format!(
                "struct_size: expected at least {expected}, got {struct_size}; set it to sizeof(apprentice_env_info)"
            ));
        }
        // SAFETY: it is as large as what is read, and texts end with a NUL.
        let (info, id, page) = unsafe { (*info, text("id", (*info).id)?, text("page", (*info).page)?) };
        let id = id.ok_or("id: expected namespace/Name-v0, got NULL")?;
        if !is_id(&id) {
            return Err(format!(
                "id: expected namespace/Name-v0, such as me/Catch-v0, of ASCII letters, digits, _, - and ., got {id:?}"
            ));
        }
        let threshold = info.reward_threshold;
        if threshold.is_infinite() {
            return Err(format!(
                "reward_threshold of {id}: expected a finite number, or NAN for none, got {threshold}"
            ));
        }
        Ok(Self {
            id,
            max_episode_steps: Some(info.max_episode_steps).filter(|&steps| steps > 0),
            reward_threshold: Some(threshold).filter(|threshold| !threshold.is_nan()),
            page: page.unwrap_or_default(),
        })
    }
}

/// A text of the plugin's, or None for null.
///
/// # Safety
/// `text` is null or points to bytes that end with a NUL and stay as long as this runs.
pub(crate) unsafe fn text(name: &str, text: *const c_char) -> Result<Option<String>, String> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: no byte behind the NUL is read.
    let length = (0..MAX_TEXT).find(|&i| unsafe { *text.add(i) } == 0);
    let length = length.ok_or_else(|| format!("{name}: expected at most {MAX_TEXT} bytes and a NUL at the end"))?;
    // SAFETY: so many bytes have just been read, and the NUL after them.
    let bytes = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), length + 1) };
    let text = CStr::from_bytes_with_nul(bytes).expect("it ends at the first NUL").to_str();
    text.map(|text| Some(text.to_owned())).map_err(|e| format!("{name}: expected UTF-8: {e}"))
}

/// `namespace/Name-vN`.
fn is_id(id: &str) -> bool {
    let word = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    let versioned = |name: &str| {
        name.rsplit_once("-v").is_some_and(|(name, version)| {
            word(name) && !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit())
        })
    };
    id.len() <= 256 && id.split_once('/').is_some_and(|(namespace, name)| word(namespace) && versioned(name))
}

/// Refuses a file that was cut off while it was copied: the system's loader would touch pages that are not there,
/// and end the process. Only ELF files are looked at: their table of sections is at the end.
fn check_length(path: &Path) -> Result<(), String> {
    use std::io::Read;
    let mut header = [0; 64];
    let mut file = std::fs::File::open(path).map_err(|e| format!("cannot be read: {e}"))?;
    let length = file.metadata().map_err(|e| format!("cannot be read: {e}"))?.len();
    let whole = file.read_exact(&mut header).is_ok();
    // 64-bit little-endian ELF; others are left to the system.
    if !whole || !header.starts_with(b"\x7fELF\x02\x01") {
        return Ok(());
    }
    let field = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let sections = u64::from_le_bytes(header[0x28..0x30].try_into().expect("eight bytes"));
    let expected = sections.saturating_add(u64::from(field(0x3a)) * u64::from(field(0x3c)));
    if length < expected {
        return Err(format!("the file is cut off: expected at least {expected} bytes, got {length}; copy it again"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_a_namespace_and_a_version() {
        for id in ["me/Catch-v0", "my_lab.org/Two-Words-v12", "c/X-v-v1"] {
            assert!(is_id(id), "{id}");
        }
        for id in
            ["", "Catch-v0", "me/Catch", "me/-v0", "/Catch-v0", "me/Catch-v", "me/Catch-vx", "a/b/C-v0", "me/Ä-v0"]
        {
            assert!(!is_id(id), "{id}");
        }
        assert!(!is_id(&format!("me/{}-v0", "x".repeat(300))));
    }
}
