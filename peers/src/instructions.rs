//! Runs one operation a given number of times, for a tool that counts instructions.

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(times)) = (arguments.next(), arguments.next()) else {
        for operation in peers::operations() {
            println!("{}\t{}", operation.name, operation.what);
        }
        return Ok(());
    };
    let mut operations = peers::operations().into_iter();
    let mut operation = operations
        .find(|operation| operation.name == name)
        .context("no such operation")?;
    (0..times.parse::<u64>()?).for_each(|_| (operation.run)());
    Ok(())
}
