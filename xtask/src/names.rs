//! Checks that no old name from `xtask/renames.tsv` is defined again.
//!
//! Rust names are searched in the sources, at every definition. Flags, settings, metrics and JSON
//! keys are searched in the recorded output of the program (`tests/snapshots`).

use std::path::Path;

use anyhow::{Context, Result, bail};
use syn::visit::Visit;

use crate::sources;

/// The recorded outputs of the program, and the kinds of names in each output.
const RECORDED: [(&str, &[&str]); 4] = [
    ("commands", &["flag", "setting"]),
    ("metrics", &["metric"]),
    ("routes", &["json"]),
    ("answers", &["json"]),
];

/// An old name and its new name.
struct Renamed<'l> {
    kind: &'l str,
    /// The start of the paths to search; `*` means all paths.
    scope: &'l str,
    /// The old name. A variant or a field has its type before the name: `Type::Variant`,
    /// `Type.field`.
    name: &'l str,
    new_name: &'l str,
}

/// Returns an error if an old name is defined.
pub(crate) fn check(root: &Path) -> Result<()> {
    let list =
        std::fs::read_to_string(root.join("xtask/renames.tsv")).context("xtask/renames.tsv")?;
    let renamed = parse(&list)?;
    let mut found = Vec::new();
    for path in sources::files(root)? {
        let mut definitions = Definitions::default();
        definitions.visit_file(&sources::parse(&path)?);
        let relative_path = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .display()
            .to_string();
        for (kind, name, line) in definitions.found {
            let old = renamed
                .iter()
                .find(|old| old.is(kind, &name, &relative_path));
            found.extend(old.map(|old| {
                format!(
                    "{relative_path}:{line}: {kind} `{name}` is `{}` now",
                    old.new_name
                )
            }));
        }
    }
    for (recorded, kinds) in RECORDED {
        let file = format!("tests/snapshots/integration__surface__{recorded}.snap");
        let text = std::fs::read_to_string(root.join(&file)).with_context(|| file.clone())?;
        let old = renamed
            .iter()
            .filter(|old| kinds.contains(&old.kind) && old.is_in(&text));
        found.extend(old.map(|old| {
            format!(
                "{file}: {} `{}` is `{}` now",
                old.kind, old.name, old.new_name
            )
        }));
    }
    if found.is_empty() {
        return Ok(());
    }
    bail!(
        "{} old names are still in use:\n  {}",
        found.len(),
        found.join("\n  ")
    );
}

fn parse(list: &str) -> Result<Vec<Renamed<'_>>> {
    let lines = list
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parsed = lines.map(|line| match line.split('\t').collect::<Vec<_>>()[..] {
        [kind, scope, name, new_name] => Ok(Renamed {
            kind,
            scope,
            name,
            new_name,
        }),
        _ => bail!("xtask/renames.tsv: {line:?} is not valid (expected four columns)"),
    });
    parsed.collect()
}

impl Renamed<'_> {
    fn is(&self, kind: &str, name: &str, path: &str) -> bool {
        self.kind == kind
            && self.name == name
            && (self.scope == "*" || path.starts_with(self.scope))
    }

    /// Returns whether the old name occurs in a recorded output of the program.
    fn is_in(&self, text: &str) -> bool {
        let pattern = match self.kind {
            "flag" => format!("--{} ", self.name),
            "setting" => format!("[env: TICKCAST_{}=", self.name.to_uppercase()),
            "metric" => format!("# HELP tickcast_{} ", self.name),
            _ => format!("\"{}\":", self.name),
        };
        text.contains(&pattern)
    }
}

/// The definitions of a file: the kind, the name and the line of each.
#[derive(Default)]
struct Definitions {
    found: Vec<(&'static str, String, usize)>,
    /// The type whose fields or variants are visited.
    owner: String,
}

impl Definitions {
    fn add(&mut self, kind: &'static str, name: &syn::Ident) {
        self.found
            .push((kind, name.to_string(), name.span().start().line));
    }

    fn add_fields(&mut self, fields: &syn::Fields) {
        for name in fields.iter().filter_map(|field| field.ident.as_ref()) {
            self.found.push((
                "field",
                format!("{}.{name}", self.owner),
                name.span().start().line,
            ));
        }
    }
}

impl<'ast> Visit<'ast> for Definitions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        // Test names are free, because a test name describes behaviour.
        if !sources::is_test(&item.attrs) {
            self.add("fn", &item.sig.ident);
        }
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add("fn", &item.sig.ident);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.add("fn", &item.sig.ident);
        syn::visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.add("type", &item.ident);
        self.owner = item.ident.to_string();
        self.add_fields(&item.fields);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.add("type", &item.ident);
        self.owner = item.ident.to_string();
        for variant in &item.variants {
            let name = format!("{}::{}", self.owner, variant.ident);
            self.found
                .push(("variant", name, variant.ident.span().start().line));
            self.add_fields(&variant.fields);
        }
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.add("type", &item.ident);
        syn::visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.add("type", &item.ident);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.add("const", &item.ident);
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.add("const", &item.ident);
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.add("const", &item.ident);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.add("mod", &item.ident);
        syn::visit::visit_item_mod(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_definition_is_found() {
        let source = "mod place; const LONGEST: u8 = 1; struct Piece { rest: u8 } enum Farewell { Busy { why: u8 } }
            impl Piece { const LEAST: u8 = 0; fn seal(self) {} } trait Carrier { fn carry(&self); } fn bury() {}
            #[test] fn what_a_test_shows() {} fn uses(place: Piece) { let bury = place.rest; }";
        let mut definitions = Definitions::default();
        definitions.visit_file(&syn::parse_file(source).unwrap());
        let mut names: Vec<_> = definitions
            .found
            .iter()
            .map(|(kind, name, _)| format!("{kind} {name}"))
            .collect();
        names.sort();
        let expected = [
            "const LEAST",
            "const LONGEST",
            "field Farewell.why",
            "field Piece.rest",
            "fn bury",
            "fn carry",
            "fn seal",
            "fn uses",
            "mod place",
            "type Carrier",
            "type Farewell",
            "type Piece",
            "variant Farewell::Busy",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn an_old_name_is_rejected_only_in_its_scope() {
        let list =
            "# kind\tscope\tname\tnow\nfn\tcrates/a\tbury\tremove\nflag\t*\tkeep\tretention-time\n";
        let renamed = parse(list).unwrap();
        assert!(
            renamed[0].is("fn", "bury", "crates/a/src/b.rs")
                && !renamed[0].is("fn", "bury", "crates/b/src/b.rs")
        );
        assert!(
            renamed[1].is_in("      --keep <AGE>") && !renamed[1].is_in("      --keep-bytes <N>")
        );
        assert!(parse("fn\tbury\tremove").is_err());
    }
}
