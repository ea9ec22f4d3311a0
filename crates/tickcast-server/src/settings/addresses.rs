//! The settings about the addresses of clients.

use ipnet::IpNet;

use super::{Layers, SettingOrigin, SettingsError};
use crate::cli::Layer;
use crate::client_address::AddressSettings;
use crate::networks;

impl Layers<'_> {
    /// Returns the settings about the addresses of clients.
    pub(super) fn pick_addresses(
        &mut self,
        flags: &Layer,
        file: &Layer,
    ) -> Result<AddressSettings, SettingsError> {
        let max_streams = self.pick_limit(
            "max_streams_per_address",
            flags.max_streams_per_address,
            file.max_streams_per_address,
        );
        let max_opens = self.pick_limit(
            "max_opens_per_address",
            flags.max_opens_per_address,
            file.max_opens_per_address,
        );
        let key = "trusted_proxies";
        let chosen = self.choose(
            key,
            flags.trusted_proxies.clone(),
            file.trusted_proxies.clone(),
        );
        let (proxies, origin) = chosen.unzip();
        let proxies = proxies.unwrap_or_default().into_iter();
        let trusted_proxies: Vec<_> = proxies.map(networks::canonical).collect();
        let shown: Vec<_> = trusted_proxies.iter().map(IpNet::to_string).collect();
        let shown = match shown.is_empty() {
            true => "(none)".to_owned(),
            false => shown.join(","),
        };
        self.show(key, shown, origin.unwrap_or(SettingOrigin::Default));
        let key = "forwarded_header";
        let chosen = self.choose(key, flags.forwarded_header, file.forwarded_header);
        let (header, origin) = chosen.unwrap_or_default();
        self.show(key, header.name(), origin);
        let key = "proxy_protocol";
        let proxy_protocol = self.pick(key, flags.proxy_protocol, file.proxy_protocol, false);
        if proxy_protocol && trusted_proxies.is_empty() {
            let why = "proxy_protocol needs trusted_proxies: only their connections begin with a PROXY header";
            return Err(SettingsError(why.to_owned()));
        }
        Ok(AddressSettings {
            max_streams,
            max_opens,
            trusted_proxies,
            forwarded_header: header,
            proxy_protocol,
        })
    }

    fn pick_limit(
        &mut self,
        key: &'static str,
        flag: Option<u32>,
        file: Option<u32>,
    ) -> Option<u32> {
        let (max, origin) = self.choose(key, flag, file).unzip();
        let shown = max.map_or_else(|| "(no limit)".to_owned(), |max| max.to_string());
        self.show(key, shown, origin.unwrap_or(SettingOrigin::Default));
        max
    }
}
