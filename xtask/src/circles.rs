//! Finds circles of files, that is, dependency cycles. In each crate, two files must not use each other,
//! neither directly nor through other files.
//!
//! A file uses another file if the file imports, or names by a path, an item of the other file. A re-export
//! (`pub use`) is no use. Methods do not count: `impl Lane` may be in many files. Each of these files uses
//! the file of `Lane`, but the file of `Lane` does not use them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use syn::visit::Visit;
use syn::{Item, UseTree, Visibility};

use crate::sources;

/// Allowed circles, with the reason.
const ALLOWED: [(&[&str], &str); 0] = [];

/// A module: the names from the crate's root down.
type Module = Vec<String>;

/// The names in a module.
#[derive(Default)]
struct Names {
    file: PathBuf,
    /// The items that the module defines.
    defined: BTreeSet<String>,
    /// The imported and re-exported items, with their path from the crate's root.
    imported: HashMap<String, Vec<String>>,
    /// Modules of which everything is imported.
    globs: Vec<Vec<String>>,
    /// The paths that the module uses: imports without re-exports, and paths in the code.
    uses: Vec<Vec<String>>,
}

/// The files that each file uses, and the used items.
type Edges = BTreeMap<PathBuf, BTreeMap<PathBuf, BTreeSet<String>>>;

/// The modules of a crate.
#[derive(Default)]
struct Crate(BTreeMap<Module, Names>);

/// Returns an error if files of a crate use each other in a circle.
pub(crate) fn check(root: &Path) -> Result<()> {
    let name = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
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
        for (used, what) in edges.get(file).into_iter().flatten().filter(|(used, _)| circle.contains(used)) {
            let what: Vec<_> = what.iter().map(String::as_str).collect();
            lines.push(format!("  {} uses {}: {}", name(file), name(used), what.join(", ")));
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
        parent == "src" && (name == "lib.rs" || name == "main.rs") || parent == "tests" && name == "main.rs"
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
        let mut names = Names { file: file.to_owned(), ..Names::default() };
        let mut children = Vec::new();
        for item in items.iter().filter(|item| !sources::is_test(attributes(item))) {
            match item {
                Item::Mod(inner) => children.push(inner),
                Item::Use(import) => {
                    let handed_on = !matches!(import.vis, Visibility::Inherited);
                    names.import(&import.tree, &mut Vec::new(), handed_on);
                }
                _ => {
                    names.defined.extend(defined(item));
                    names.visit_item(item);
                }
            }
        }
        // A path may begin with the name of an inner module.
        let here: BTreeSet<_> = children.iter().map(|child| child.ident.to_string()).collect();
        names.resolve(module, &here);
        self.0.insert(module.clone(), names);
        for child in children {
            let path: Module = module.iter().cloned().chain([child.ident.to_string()]).collect();
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
            let globs =
                names.globs.iter().map(|glob| glob.iter().chain(&path[at..]).cloned().collect::<Vec<_>>());
            return globs.into_iter().find_map(|whole| self.file(&whole, depth + 1));
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
                    used.entry(file.to_owned()).or_default().extend(path.last().cloned());
                }
            }
        }
        edges
    }
}

impl Names {
    fn import(&mut self, tree: &UseTree, before: &mut Vec<String>, handed_on: bool) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.import(&path.tree, before, handed_on);
                before.pop();
            }
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.import(tree, before, handed_on));
            }
            UseTree::Glob(_) => self.globs.push(before.clone()),
            UseTree::Name(name) => {
                self.name(&name.ident.to_string(), &name.ident.to_string(), before, handed_on);
            }
            UseTree::Rename(rename) => {
                self.name(&rename.ident.to_string(), &rename.rename.to_string(), before, handed_on);
            }
        }
    }

    fn name(&mut self, name: &str, here: &str, before: &[String], handed_on: bool) {
        let mut path = before.to_vec();
        let here = if name == "self" { before.last().map_or(here, String::as_str) } else { here };
        if name != "self" {
            path.push(name.to_owned());
        }
        self.imported.insert(here.to_owned(), path.clone());
        if !handed_on {
            self.uses.push(path);
        }
    }

    /// Makes all paths start at the crate's root, and removes paths into other crates.
    fn resolve(&mut self, module: &Module, children: &BTreeSet<String>) {
        let imported = self.imported.clone();
        let absolute = |path: &Vec<String>| absolute(path, module, children, &imported, 0);
        self.uses = self.uses.iter().filter_map(absolute).collect();
        self.globs = self.globs.iter().filter_map(absolute).collect();
        self.imported =
            self.imported.iter().filter_map(|(name, path)| Some((name.clone(), absolute(path)?))).collect();
    }
}

impl<'ast> Visit<'ast> for Names {
    // `pub(in path)` names a module but uses no item of the module.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            self.uses.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        syn::visit::visit_path(self, path);
    }
}

/// Returns a path from the crate's root. Returns `None` if the path leads into another crate, or names an
/// import that is counted already.
fn absolute(
    path: &[String],
    module: &Module,
    children: &BTreeSet<String>,
    imported: &HashMap<String, Vec<String>>,
    depth: usize,
) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    let up = path.iter().take_while(|name| *name == "super").count();
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some(module.iter().chain(rest).cloned().collect()),
        "super" => {
            let above = module.get(..module.len().checked_sub(up)?)?;
            Some(above.iter().chain(&path[up..]).cloned().collect())
        }
        name if children.contains(name) => Some(module.iter().chain(path).cloned().collect()),
        name if depth < 4 && imported.get(name).is_some_and(|import| import.as_slice() != path) => {
            let whole: Vec<_> = imported.get(name)?.iter().chain(rest).cloned().collect();
            absolute(&whole, module, children, imported, depth + 1)
        }
        _ => None,
    }
}

fn attributes(item: &Item) -> &[syn::Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Returns the name that an item defines in its module.
fn defined(item: &Item) -> Option<String> {
    Some(match item {
        Item::Const(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Fn(item) => item.sig.ident.to_string(),
        Item::Static(item) => item.ident.to_string(),
        Item::Struct(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        Item::Union(item) => item.ident.to_string(),
        Item::Macro(item) => item.ident.as_ref()?.to_string(),
        _ => return None,
    })
}

/// Returns the file of a module without a body.
fn file_of(module: &syn::ItemMod, parent: &Path) -> PathBuf {
    let stem = parent.file_stem().unwrap_or_default();
    let folder = parent.parent().unwrap_or(Path::new("")).to_owned();
    let folder = if stem == "lib" || stem == "main" || stem == "mod" { folder } else { folder.join(stem) };
    let (file, other) =
        (folder.join(format!("{}.rs", module.ident)), folder.join(format!("{}/mod.rs", module.ident)));
    if other.exists() { other } else { file }
}

/// Returns groups of files that can reach each other.
fn circles(edges: &Edges) -> Vec<Vec<PathBuf>> {
    let reach = |from: &PathBuf| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(file) = next.pop() {
            for used in edges.get(&file).into_iter().flat_map(BTreeMap::keys) {
                if seen.insert(used.clone()) {
                    next.push(used.clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<_, _> = edges.keys().map(|file| (file.clone(), reach(file))).collect();
    let mut found: Vec<Vec<PathBuf>> = Vec::new();
    for (file, reached_by_it) in &reached {
        if !reached_by_it.contains(file) || found.iter().flatten().any(|known| known == file) {
            continue;
        }
        let back = |other: &&PathBuf| reached.get(*other).is_some_and(|reached| reached.contains(file));
        found.push(reached_by_it.iter().filter(back).cloned().collect());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &[&str])]) -> Edges {
        let used = |to: &&str| (PathBuf::from(to), BTreeSet::new());
        let edge = |(from, to): &(&str, &[&str])| (PathBuf::from(from), to.iter().map(used).collect());
        edges.iter().map(edge).collect()
    }

    #[test]
    fn a_circle_of_any_length_is_found() {
        let straight = graph(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])]);
        assert_eq!(circles(&straight).len(), 0);
        let round = graph(&[("a", &["b"]), ("b", &["c"]), ("c", &["a", "d"]), ("d", &["e"]), ("e", &["d"])]);
        let names = |circle: &Vec<PathBuf>| circle.iter().map(|file| file.display().to_string()).collect();
        let found: Vec<Vec<String>> = circles(&round).iter().map(names).collect();
        assert_eq!(found, [vec!["a", "b", "c"], vec!["d", "e"]]);
    }

    #[test]
    fn a_re_exported_item_is_found_in_the_file_that_defines_it() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("lib.rs", "mod a; mod b; pub use a::Thing; struct Own;");
        write("a.rs", "use crate::b::helper; pub struct Thing; fn f() { helper() }");
        write(
            "b.rs",
            "use crate::Thing; pub fn helper() {} fn g(_: Thing) {} #[cfg(test)] mod tests { use crate::Own; }",
        );
        let mut modules = Crate::default();
        modules.read(&folder.path().join("lib.rs"), &Vec::new()).unwrap();
        let found = circles(&modules.edges());
        let names: Vec<_> = found.concat().iter().map(|file| file.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["a.rs", "b.rs"]);
    }
}
