//! The publish token, given directly or in a file that only the server can read.

use super::{Layers, SettingOrigin, SettingRow, SettingsError, fingerprint};
use crate::auth::PublishToken;
use crate::cli::Layer;
use crate::secret::SecretHash;

impl Layers<'_> {
    /// Returns the token that allows to publish everything: the token itself, or the contents of
    /// its file.
    pub(super) fn pick_token(
        &mut self,
        flags: &Layer,
        file: &Layer,
    ) -> Result<Option<PublishToken>, SettingsError> {
        let token = self.choose(
            "publish_token",
            flags.publish_token.clone(),
            file.publish_token.clone(),
        );
        let kept = self.choose(
            "publish_token_file",
            flags.publish_token_file.clone(),
            file.publish_token_file.clone(),
        );
        let shown = kept
            .as_ref()
            .map(|(path, origin)| (path.display().to_string(), *origin));
        let (token, key) = match (token, kept) {
            (Some(_), Some(_)) => {
                let both = "publish_token and publish_token_file cannot both be set";
                return Err(SettingsError(both.to_owned()));
            }
            (token, None) => (token, "publish_token".to_owned()),
            (None, Some((path, origin))) => {
                let key = format!("publish_token_file: {}", path.display());
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| SettingsError(format!("{key}: {error}")))?;
                (
                    Some((text.trim_end_matches(['\r', '\n']).to_owned(), origin)),
                    key,
                )
            }
        };
        self.show_token(token.as_ref(), &key)?;
        let (path, origin) = shown.unwrap_or_else(|| ("(none)".to_owned(), SettingOrigin::Default));
        self.show("publish_token_file", path, origin);
        let Some((token, _)) = token else {
            return Ok(None);
        };
        let hash = SecretHash::of_setting(&token)
            .map_err(|error| SettingsError(format!("{key}: {error}")))?;
        Ok(Some(PublishToken::for_everything(hash)))
    }

    /// Adds a row with the origin of the token, but without the token. `key` names the setting that
    /// contained the token.
    fn show_token(
        &mut self,
        token: Option<&(String, SettingOrigin)>,
        key: &str,
    ) -> Result<(), SettingsError> {
        let Some((token, origin)) = token else {
            self.show(
                "publish_token",
                "(generated at startup)",
                SettingOrigin::Default,
            );
            return Ok(());
        };
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SettingsError(format!(
                "{key} must be printable ASCII without spaces, and not empty"
            )));
        }
        let print = fingerprint(token);
        let value = "(hidden)".to_owned();
        self.shown.push(SettingRow {
            key: "publish_token",
            value,
            print,
            origin: *origin,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn a_changed_token_is_detected_but_not_shown() {
        let matches = crate::cli::Cli::command().get_matches_from(["tickcast"]);
        let shown = |secret: &str| {
            let mut layers = Layers {
                matches: &matches,
                shown: Vec::new(),
            };
            let file = Layer {
                publish_token: Some(secret.to_owned()),
                ..Layer::default()
            };
            layers.pick_token(&Layer::default(), &file).unwrap();
            layers.shown.remove(0)
        };
        assert_eq!(shown("a").value, "(hidden)");
        assert!(shown("a").differs(&shown("b")) && !shown("a").differs(&shown("a")));
    }
}
