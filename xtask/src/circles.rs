//! Finds circles of files, that is, dependency cycles. In each crate, two files must not use each
//! other, neither directly nor through other files.
//!
//! A file uses another file if the file imports, or names by a path, an item of the other file.
//! Imports within functions and paths in the arguments of macros count too. A re-export (`pub use`)
//! is a use only if the file's own code names the item. Methods do not count: `impl Lane` may be in
//! many files. Each of these files uses the file of `Lane`, but the file of `Lane` does not use
//! them.
//!
//! A glob (`use a::*`) is a use of the file of `a`. The search does not know which of the names
//! come from other files, that is, which names `a` re-exports.

mod module_names;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use syn::Item;

use crate::sources;
use module_names::{Module, ModuleNames};

/// Allowed circles, with the reason.
const ALLOWED: [(&[&str], &str); 0] = [];

/// The files that each file uses, and the used items.
type Edges = BTreeMap<PathBuf, BTreeMap<PathBuf, BTreeSet<String>>>;

/// The modules of a crate.
#[derive(Default)]
struct Crate(BTreeMap<Module, ModuleNames>);

/// Returns an error if files of a crate use each other in a circle.
pub(crate) fn check(root: &Path) -> Result<()> {
    let name = |path: &Path| {
        path.strip_prefix(root)
            .unwrap_or(path)
            .display()
            .to_string()
    };
    let mut listed = Vec::new();
    for start in roots(root)? {
        let mut modules = Crate::default();
        modules.read(&start, &Vec::new())?;
        let edges = modules.edges();
        for circle in circles(&edges) {
            let names: Vec<_> = circle.iter().map(|file| name(file)).collect();
            if !ALLOWED.iter().any(|(allowed, _)| *allowed == names) {
                listed.push(uses_within(&circle, &edges, name));
            }
        }
    }
    if listed.is_empty() {
        return Ok(());
    }
    bail!("{} circles of files:\n{}", listed.len(), listed.join("\n"));
}

/// Returns the items that the files of a circle use of each other.
fn uses_within(circle: &[PathBuf], edges: &Edges, name: impl Fn(&Path) -> String) -> String {
    let mut lines = vec![format!("a circle of {}:", circle.len())];
    for file in circle {
        for (used, items) in edges
            .get(file)
            .into_iter()
            .flatten()
            .filter(|(used, _)| circle.contains(used))
        {
            let items: Vec<_> = items.iter().map(String::as_str).collect();
            lines.push(format!(
                "  {} uses {}: {}",
                name(file),
                name(used),
                items.join(", ")
            ));
        }
    }
    lines.join("\n")
}

/// Returns the root file of each crate.
fn roots(root: &Path) -> Result<Vec<PathBuf>> {
    let files = sources::files(root)?;
    let is_root = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        let parent = path.parent().and_then(Path::file_name).unwrap_or_default();
        parent == "src" && (name == "lib.rs" || name == "main.rs")
            || parent == "tests" && name == "main.rs"
    };
    Ok(files.into_iter().filter(is_root).collect())
}

impl Crate {
    /// Reads the file of a module, and the files of its inner modules.
    fn read(&mut self, file: &Path, module: &Module) -> Result<()> {
        let parsed = sources::parse(file)?;
        self.items(&parsed.items, file, module)
    }

    fn items(&mut self, items: &[Item], file: &Path, module: &Module) -> Result<()> {
        let (names, children) = ModuleNames::read(items, file, module);
        self.0.insert(module.clone(), names);
        for child in children {
            let path: Module = module
                .iter()
                .cloned()
                .chain([child.ident.to_string()])
                .collect();
            match &child.content {
                Some((_, items)) => self.items(items, file, &path)?,
                None => self.read(&file_of(child, file), &path)?,
            }
        }
        Ok(())
    }

    /// Returns the file that defines the item of a path.
    fn file(&self, path: &[String], depth: usize) -> Option<&Path> {
        let mut module = Module::new();
        for (at, name) in path.iter().enumerate() {
            module.push(name.clone());
            if self.0.contains_key(&module) {
                continue;
            }
            module.pop();
            let names = self.0.get(&module)?;
            if names.defined.contains(name) || depth > 8 {
                return Some(&names.file);
            }
            if let Some(import) = names.imported.get(name) {
                let rest = path.get(at + 1..).unwrap_or_default();
                let whole: Vec<_> = import.iter().chain(rest).cloned().collect();
                return self.file(&whole, depth + 1);
            }
            let globs = names
                .globs
                .iter()
                .map(|glob| glob.iter().chain(&path[at..]).cloned().collect::<Vec<_>>());
            return globs
                .into_iter()
                .find_map(|whole| self.file(&whole, depth + 1));
        }
        self.0.get(&module).map(|names| names.file.as_path())
    }

    /// Returns the files that each file uses.
    fn edges(&self) -> Edges {
        let mut edges = Edges::new();
        for names in self.0.values() {
            let used = edges.entry(names.file.clone()).or_default();
            for path in &names.uses {
                if let Some(file) = self.file(path, 0).filter(|file| *file != names.file) {
                    used.entry(file.to_owned())
                        .or_default()
                        .extend(path.last().cloned());
                }
            }
        }
        edges
    }
}

/// Returns the file of a module without a body.
fn file_of(module: &syn::ItemMod, parent: &Path) -> PathBuf {
    let stem = parent.file_stem().unwrap_or_default();
    let folder = parent.parent().unwrap_or(Path::new("")).to_owned();
    if let Some(path) = given_path(module) {
        return folder.join(path);
    }
    let folder = if stem == "lib" || stem == "main" || stem == "mod" {
        folder
    } else {
        folder.join(stem)
    };
    let (file, other) = (
        folder.join(format!("{}.rs", module.ident)),
        folder.join(format!("{}/mod.rs", module.ident)),
    );
    if other.exists() { other } else { file }
}

/// Returns the path in the attribute `#[path = "…"]` of a module.
fn given_path(module: &syn::ItemMod) -> Option<String> {
    let attributes = module.attrs.iter();
    let mut paths = attributes.filter_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            syn::Expr::Lit(literal) => match &literal.lit {
                syn::Lit::Str(path) => Some(path.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    paths.next()
}

/// Returns groups of files that can reach each other.
fn circles(edges: &Edges) -> Vec<Vec<PathBuf>> {
    let reach = |from: &PathBuf| {
        let (mut reached, mut next) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(file) = next.pop() {
            for used in edges.get(&file).into_iter().flat_map(BTreeMap::keys) {
                if reached.insert(used.clone()) {
                    next.push(used.clone());
                }
            }
        }
        reached
    };
    let reached: BTreeMap<_, _> = edges
        .keys()
        .map(|file| (file.clone(), reach(file)))
        .collect();
    let mut found: Vec<Vec<PathBuf>> = Vec::new();
    for (file, reachable) in &reached {
        if !reachable.contains(file) || found.iter().flatten().any(|known| known == file) {
            continue;
        }
        let back = |other: &&PathBuf| {
            reached
                .get(*other)
                .is_some_and(|reached| reached.contains(file))
        };
        found.push(reachable.iter().filter(back).cloned().collect());
    }
    found
}

#[cfg(test)]
mod tests;
