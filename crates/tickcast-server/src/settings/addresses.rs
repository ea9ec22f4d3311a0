//! The settings about the addresses of clients.

use ipnet::IpNet;

use super::{Layers, SettingOrigin};
use crate::cli::Layer;

impl Layers<'_> {
    /// Returns the maximum number of streams of one address, and the trusted proxies.
    pub(super) fn pick_addresses(
        &mut self,
        flags: &Layer,
        file: &Layer,
    ) -> (Option<u32>, Vec<IpNet>) {
        let (key, proxies_key) = ("max_streams_per_address", "trusted_proxies");
        let chosen = self.choose(
            key,
            flags.max_streams_per_address,
            file.max_streams_per_address,
        );
        let (max, origin) = chosen.unzip();
        let shown = max.map_or_else(|| "(no limit)".to_owned(), |max| max.to_string());
        self.show(key, shown, origin.unwrap_or(SettingOrigin::Default));
        let chosen = self.choose(
            proxies_key,
            flags.trusted_proxies.clone(),
            file.trusted_proxies.clone(),
        );
        let (proxies, origin) = chosen.unzip();
        let proxies = proxies.unwrap_or_default();
        let shown: Vec<_> = proxies.iter().map(IpNet::to_string).collect();
        let shown = match shown.is_empty() {
            true => "(none)".to_owned(),
            false => shown.join(","),
        };
        self.show(proxies_key, shown, origin.unwrap_or(SettingOrigin::Default));
        (max, proxies)
    }
}
