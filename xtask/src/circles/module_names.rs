//! The names in a module: what the module defines, imports and uses.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::Visit;
use syn::{Item, ItemMod, ItemUse, UseTree, Visibility};

use crate::sources;

/// A module: the names from the crate's root down.
pub(super) type Module = Vec<String>;

/// The names in a module.
#[derive(Default)]
pub(super) struct ModuleNames {
    pub(super) file: PathBuf,
    /// The items that the module defines.
    pub(super) defined: BTreeSet<String>,
    /// The imported and re-exported items, with their path from the crate's root.
    pub(super) imported: HashMap<String, Vec<String>>,
    /// Modules of which everything is imported.
    pub(super) globs: Vec<Vec<String>>,
    /// The paths that the module uses: imports without re-exports, and paths in the code.
    pub(super) uses: Vec<Vec<String>>,
    /// Names in the code without a path.
    plain_names: BTreeSet<String>,
    /// Names that the module re-exports. The module uses such an item only if the code contains its
    /// name.
    reexported: BTreeSet<String>,
}

impl ModuleNames {
    /// Reads the items of a module, and returns its inner modules too. Ignores items for tests.
    pub(super) fn read<'i>(
        items: &'i [Item],
        file: &Path,
        module: &Module,
    ) -> (Self, Vec<&'i ItemMod>) {
        let mut names = Self {
            file: file.to_owned(),
            ..Self::default()
        };
        let mut children = Vec::new();
        for item in items
            .iter()
            .filter(|item| !sources::is_test(attributes(item)))
        {
            match item {
                Item::Mod(inner) => children.push(inner),
                Item::Use(import) => {
                    let reexported = !matches!(import.vis, Visibility::Inherited);
                    names.add_imports(&import.tree, &mut Vec::new(), reexported);
                }
                _ => {
                    names.defined.extend(defined(item));
                    names.visit_item(item);
                }
            }
        }
        // A path may begin with the name of an inner module.
        let child_names: BTreeSet<_> = children
            .iter()
            .map(|child| child.ident.to_string())
            .collect();
        names.resolve(module, &child_names);
        (names, children)
    }

    fn add_imports(&mut self, tree: &UseTree, prefix: &mut Vec<String>, reexported: bool) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.add_imports(&path.tree, prefix, reexported);
                prefix.pop();
            }
            UseTree::Group(group) => {
                group
                    .items
                    .iter()
                    .for_each(|tree| self.add_imports(tree, prefix, reexported));
            }
            UseTree::Glob(_) => {
                self.globs.push(prefix.clone());
                if !reexported {
                    self.uses.push(prefix.clone());
                }
            }
            UseTree::Name(name) => {
                self.add_import(
                    &name.ident.to_string(),
                    &name.ident.to_string(),
                    prefix,
                    reexported,
                );
            }
            UseTree::Rename(rename) => {
                self.add_import(
                    &rename.ident.to_string(),
                    &rename.rename.to_string(),
                    prefix,
                    reexported,
                );
            }
        }
    }

    fn add_import(&mut self, name: &str, alias: &str, prefix: &[String], reexported: bool) {
        let mut path = prefix.to_vec();
        let alias = if name == "self" {
            prefix.last().map_or(alias, String::as_str)
        } else {
            alias
        };
        if name != "self" {
            path.push(name.to_owned());
        }
        self.imported.insert(alias.to_owned(), path.clone());
        if reexported {
            self.reexported.insert(alias.to_owned());
        } else {
            self.uses.push(path);
        }
    }

    /// Adds the paths and the names in the arguments of a macro, which are tokens without a
    /// structure.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut tokens = tokens.into_iter().peekable();
        let mut path = Vec::new();
        let mut after_separator = false;
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(name) if path.is_empty() || after_separator => {
                    path.push(name.to_string());
                }
                TokenTree::Punct(colon) if colon.as_char() == ':' && is_colon(tokens.peek()) => {
                    tokens.next();
                    after_separator = true;
                    continue;
                }
                other => {
                    let before = std::mem::take(&mut path);
                    let is_visibility = before == ["pub"];
                    self.add_path(before);
                    match other {
                        TokenTree::Ident(name) => path.push(name.to_string()),
                        // `pub(in path)`, as in `visit_visibility`.
                        TokenTree::Group(_) if is_visibility => {}
                        TokenTree::Group(group) => self.add_tokens(group.stream()),
                        TokenTree::Punct(_) | TokenTree::Literal(_) => {}
                    }
                }
            }
            after_separator = false;
        }
        self.add_path(path);
    }

    fn add_path(&mut self, mut path: Vec<String>) {
        match path.len() {
            0 => {}
            1 => self.plain_names.extend(path.pop()),
            _ => self.uses.push(path),
        }
    }

    /// Makes all paths start at the crate's root, and removes paths into other crates.
    fn resolve(&mut self, module: &Module, children: &BTreeSet<String>) {
        let used_reexports = self.reexported.intersection(&self.plain_names);
        self.uses
            .extend(used_reexports.filter_map(|name| self.imported.get(name).cloned()));
        let imported = self.imported.clone();
        let absolute = |path: &Vec<String>| absolute(path, module, children, &imported, 0);
        self.uses = self.uses.iter().filter_map(absolute).collect();
        self.globs = self.globs.iter().filter_map(absolute).collect();
        self.imported = self
            .imported
            .iter()
            .filter_map(|(name, path)| Some((name.clone(), absolute(path)?)))
            .collect();
    }
}

fn is_colon(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == ':')
}

impl<'ast> Visit<'ast> for ModuleNames {
    // `pub(in path)` names a module but uses no item of the module.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            self.add_path(
                path.segments
                    .iter()
                    .map(|segment| segment.ident.to_string())
                    .collect(),
            );
        }
        syn::visit::visit_path(self, path);
    }

    /// Adds an import within a function. An import of the module itself with the same name has
    /// priority.
    fn visit_item_use(&mut self, import: &'ast ItemUse) {
        let mut inner = Self::default();
        inner.add_imports(&import.tree, &mut Vec::new(), false);
        self.uses.extend(inner.uses);
        self.globs.extend(inner.globs);
        for (name, path) in inner.imported {
            self.imported.entry(name).or_insert(path);
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.add_tokens(call.tokens.clone());
    }
}

/// Returns a path from the crate's root. Returns `None` if the path leads into another crate, or
/// names an import that is counted already.
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
        name if depth < 4
            && imported
                .get(name)
                .is_some_and(|import| import.as_slice() != path) =>
        {
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
