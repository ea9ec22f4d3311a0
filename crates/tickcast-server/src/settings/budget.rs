//! The setting `memory_budget`.

use super::control_group::ControlGroup;
use super::memory::{self, MemoryBudget};
use super::{Layers, SettingOrigin, SettingsError};

/// Smallest memory budget. The program itself needs about half of it.
const MIN_BUDGET: u64 = 64 << 20;

impl Layers<'_> {
    /// Returns the memory that the server may use. The default limits fit into it.
    pub(super) fn pick_memory(
        &mut self,
        flag: Option<u64>,
        file: Option<u64>,
    ) -> Result<MemoryBudget, SettingsError> {
        let key = "memory_budget";
        let chosen = self.choose(key, flag, file);
        if let Some((bytes, _)) = chosen.filter(|(bytes, _)| *bytes < MIN_BUDGET) {
            return Err(SettingsError(format!(
                "{key} cannot be {bytes}: at least {MIN_BUDGET} bytes are needed"
            )));
        }
        let machine = std::fs::read_to_string("/proc/meminfo").ok();
        let machine = machine.and_then(|text| memory::total(&text));
        let (wanted, origin) = chosen.unzip();
        let budget = MemoryBudget::new(wanted, ControlGroup::of_this_process(), machine);
        let whose = match (&budget.group, wanted) {
            (Some(_), _) => " (the limit of the control group)",
            (None, None) => " (the memory of the machine)",
            (None, Some(_)) => "",
        };
        let shown = format!("{}{whose}", budget.bytes);
        self.show(key, shown, origin.unwrap_or(SettingOrigin::Default));
        Ok(budget)
    }
}
