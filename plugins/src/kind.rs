//! A kind of environment with its parameters: what all copies of an environment share.

use crate::border::{Foreign, Widths};
use crate::columns::Columns;
use crate::instance::Instance;
use crate::library::Library;
use apprentice_envs::{Error, Space};
use serde_json::Value as Json;
use std::ffi::CString;
use std::sync::Arc;

pub(crate) struct Kind {
    library: Arc<Library>,
    /// Its place in the plugin's table.
    index: u32,
    id: String,
    kwargs: CString,
    /// The spaces in the plugin's words.
    texts: (String, String),
    pub(crate) observation_space: Space,
    pub(crate) action_space: Space,
    pub(crate) observation_columns: Columns,
    pub(crate) widths: Widths,
    /// What an environment is stepped with that is reset right after.
    pub(crate) any_action: Vec<f32>,
}

impl Kind {
    /// The kind `index` of a library with the parameters `kwargs`, and one environment of it.
    pub(crate) fn new(
        library: &Arc<Library>,
        index: u32,
        id: &str,
        kwargs: &Json,
    ) -> Result<(Arc<Self>, Instance), Error> {
        let path = library.path();
        let fails = |what: String| Error::config(format!("plugin {path}, environment {id}: {what}"));
        // In JSON a NUL is escaped.
        let kwargs = CString::new(kwargs.to_string()).expect("JSON has no NUL");
        let foreign = Foreign::create(library.clone(), index, 1, &kwargs).map_err(fails)?;
        let texts = foreign.spaces().map_err(fails)?;
        let (observation_space, observation_columns) =
            read_space(&texts.0).map_err(|what| fails(format!("observation_space: {what}")))?;
        let (action_space, action_columns) =
            read_space(&texts.1).map_err(|what| fails(format!("action_space: {what}")))?;
        let widths = Widths {
            observation: observation_columns.count(),
            action: action_columns.count(),
            mask: action_space.feature_dim(),
        };
        let kind = Arc::new(Self {
            library: library.clone(),
            index,
            id: id.to_owned(),
            kwargs,
            texts,
            observation_space,
            action_space,
            observation_columns,
            widths,
            any_action: action_columns.some_row(),
        });
        let instance = Instance::new(kind.clone(), foreign)?;
        Ok((kind, instance))
    }

    /// `num_envs` environments of this kind.
    pub(crate) fn create(self: &Arc<Self>, num_envs: usize) -> Result<Instance, Error> {
        let num = u32::try_from(num_envs).map_err(|_| self.fails("more environments than an instance can have"))?;
        let foreign =
            Foreign::create(self.library.clone(), self.index, num, &self.kwargs).map_err(|e| self.fails(e))?;
        let texts = foreign.spaces().map_err(|e| self.fails(e))?;
        if texts != self.texts {
            return Err(self.fails(format!(
                "the spaces of {num_envs} environments are not those of one with the same parameters: expected {} and \
                 {}, got {} and {}",
                self.texts.0, self.texts.1, texts.0, texts.1
            )));
        }
        Instance::new(self.clone(), foreign)
    }

    /// Whether it is the same kind with the same parameters.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.library, &other.library) && (self.index, &self.kwargs) == (other.index, &other.kwargs)
    }

    /// The environment did something that it should not.
    pub(crate) fn fails(&self, what: impl std::fmt::Display) -> Error {
        Error::environment(self.name(what))
    }

    /// A state is not one of this environment's.
    pub(crate) fn refuses_state(&self, what: impl std::fmt::Display) -> Error {
        Error::snapshot(self.name(what))
    }

    fn name(&self, what: impl std::fmt::Display) -> String {
        format!("plugin {}, environment {}: {what}", self.library.path(), self.id)
    }
}

/// A space in the plugin's words, if an environment can have it.
fn read_space(text: &str) -> Result<(Space, Columns), String> {
    let space: Space = serde_json::from_str(text)
        .map_err(|e| format!(r#"expected JSON such as {{"type":"Discrete","n":2}}, got {}: {e}"#, shortened(text)))?;
    let columns = Columns::new(&space).map_err(|flaw| shortened(&flaw))?;
    Ok((space, columns))
}

/// The beginning of a text that may be very long.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
