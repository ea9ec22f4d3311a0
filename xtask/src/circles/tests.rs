//! Tests of the search for circles.

use super::*;

fn graph(edges: &[(&str, &[&str])]) -> Edges {
    let used = |to: &&str| (PathBuf::from(to), BTreeSet::new());
    let edge = |(from, to): &(&str, &[&str])| (PathBuf::from(from), to.iter().map(used).collect());
    edges.iter().map(edge).collect()
}

#[test]
fn a_circle_of_any_length_is_found() {
    let acyclic = graph(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])]);
    assert_eq!(circles(&acyclic).len(), 0);
    let cyclic = graph(&[
        ("a", &["b"]),
        ("b", &["c"]),
        ("c", &["a", "d"]),
        ("d", &["e"]),
        ("e", &["d"]),
    ]);
    let names = |circle: &Vec<PathBuf>| {
        circle
            .iter()
            .map(|file| file.display().to_string())
            .collect()
    };
    let found: Vec<Vec<String>> = circles(&cyclic).iter().map(names).collect();
    assert_eq!(found, [vec!["a", "b", "c"], vec!["d", "e"]]);
}

/// Returns the names of the files in circles, for a crate with these files.
fn files_in_circles(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let mut modules = Crate::default();
    modules
        .read(&folder.path().join("lib.rs"), &Vec::new())
        .unwrap();
    let found = circles(&modules.edges()).concat();
    found
        .iter()
        .map(|file| file.file_name().unwrap().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_re_exported_item_is_found_in_the_file_that_defines_it() {
    let b = "use crate::Thing; pub fn helper() {} fn g(_: Thing) {} #[cfg(test)] mod tests { use crate::Own; }";
    let found = files_in_circles(&[
        ("lib.rs", "mod a; mod b; pub use a::Thing; struct Own;"),
        (
            "a.rs",
            "use crate::b::helper; pub struct Thing; fn f() { helper() }",
        ),
        ("b.rs", b),
    ]);
    assert_eq!(found, ["a.rs", "b.rs"]);
}

#[test]
fn an_import_within_a_function_is_a_use() {
    let found = files_in_circles(&[
        ("lib.rs", "mod a; mod b;"),
        (
            "a.rs",
            "pub struct Thing; fn f() { use crate::b::helper; helper() }",
        ),
        (
            "b.rs",
            "use crate::a::Thing; pub fn helper() {} fn g(_: Thing) {}",
        ),
    ]);
    assert_eq!(found, ["a.rs", "b.rs"]);
}

#[test]
fn a_glob_is_a_use_of_the_module() {
    let found = files_in_circles(&[
        ("lib.rs", "mod a; mod b;"),
        (
            "a.rs",
            "use crate::b::*; pub struct Thing; fn f() { helper() }",
        ),
        (
            "b.rs",
            "use crate::a::Thing; pub fn helper() {} fn g(_: Thing) {}",
        ),
    ]);
    assert_eq!(found, ["a.rs", "b.rs"]);
}

#[test]
fn a_path_within_a_macro_is_a_use() {
    for call in [
        "println!(\"{}\", crate::b::NAME)",
        "vec![(0, super::b::NAME)]",
        "assert_eq!(x::<u8>, {crate::b::NAME})",
    ] {
        let found = files_in_circles(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", &format!("pub struct Thing; fn f() {{ {call}; }}")),
            (
                "b.rs",
                "use crate::a::Thing; pub const NAME: &str = \"\"; fn g(_: Thing) {}",
            ),
        ]);
        assert_eq!(found, ["a.rs", "b.rs"], "{call}");
    }
}

#[test]
fn a_visibility_within_a_macro_is_no_use() {
    let found = files_in_circles(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "make! { pub(in crate::b) struct Thing; }"),
        ("b.rs", "use crate::a::Thing; fn f(_: Thing) {}"),
    ]);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_re_export_is_a_use_only_if_the_own_code_names_the_item() {
    let found = |own: &str| {
        files_in_circles(&[
            (
                "lib.rs",
                &format!("mod a; pub use a::Thing; pub struct Own; {own}"),
            ),
            ("a.rs", "use crate::Own; pub struct Thing; fn f(_: Own) {}"),
        ])
    };
    assert_eq!(found(""), Vec::<String>::new());
    assert_eq!(found("fn f(_: Thing) {}"), ["a.rs", "lib.rs"]);
    assert_eq!(found("fn f() { drop(vec![Thing]); }"), ["a.rs", "lib.rs"]);
}

#[test]
fn a_module_may_name_its_file() {
    let found = files_in_circles(&[
        ("lib.rs", r#"#[path = "other.rs"] mod a; mod b;"#),
        ("other.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "use crate::a::A; pub struct B;"),
    ]);
    assert_eq!(found, ["b.rs", "other.rs"]);
}
