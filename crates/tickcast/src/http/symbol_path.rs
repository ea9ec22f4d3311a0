//! The symbol in a path.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use tickcast_core::Symbol;

use super::Problem;

/// A symbol in a path, not yet validated.
pub(super) type SymbolPath = Result<Path<String>, PathRejection>;

/// Returns the symbol of a path.
pub(super) fn parse_symbol(path: &SymbolPath) -> Result<Symbol, Problem> {
    match path {
        Ok(Path(name)) => Ok(Symbol::new(name)?),
        Err(rejection) => Err(Problem::new(rejection.status(), rejection.body_text())),
    }
}
