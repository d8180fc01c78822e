//! Prints the figures of the link in `BASELINE.md`: the codec beside another one, a server that
//! only acknowledges beside an echo, and idle connections beside busy ones.
//!
//! Without an argument it prints all of them. Alone: `codec`, `server`, `idle`, and
//! `load HOST:PORT NAME` for a server that runs already, `serve` for one at port 26750 (`servers/run.sh` starts those of others).

mod codec;
mod idle;
mod load;
mod server;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => {
            codec::print();
            server::print()?;
            idle::print()
        }
        ["codec"] => {
            codec::print();
            Ok(())
        }
        ["server"] => server::print(),
        ["idle"] => idle::print(),
        ["serve"] => server::run("127.0.0.1:26750"),
        ["load", address, name] => load::print(address.parse()?, name),
        // What `idle` starts beside itself.
        ["hold", address, count] => idle::hold(address.parse()?, count.parse()?),
        _ => bail!("usage: [codec | server | idle | load HOST:PORT NAME]"),
    }
}
