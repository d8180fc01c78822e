//! The report as one page that needs nothing else.

use std::fmt::Write;

use super::judge::{Failure, Scope};
use super::report::{Line, Report, Verdict, visible};

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b2430;--dim:#5b6673;--line:#d5dbe1;--page:#fff;\
--good:#146c2e;--bad:#a1121f}\
@media(prefers-color-scheme:dark){:root{--ink:#e6eaef;--dim:#9aa5b1;--line:#38424d;\
--page:#151a20;--good:#6fd08c;--bad:#ff8b92}}\
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);\
max-width:70rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%}\
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;border-bottom:1px solid var(--line)}\
th{color:var(--dim);font-weight:600}\
.passed{color:var(--good)}.failed{color:var(--bad);font-weight:600}.na{color:var(--dim)}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.2rem 0;font-size:.85rem}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:.5rem 0}\
dt{color:var(--dim)}dd{margin:0}";

/// The page.
pub(super) fn page(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &Report) -> std::fmt::Result {
    let (passed, failed, not_applicable) = report.counts();
    let scope = match report.scope {
        Scope::All => "the conformance statement, and this toolkit's decisions where it is silent",
        Scope::Statement => "the conformance statement",
    };
    let receiver = escaped(&report.receiver);
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>HL7 conformance of {receiver}</title>\n<style>{STYLE}</style>\n\
         <h1>HL7 conformance of {receiver}</h1>\n<dl>\n\
         <dt>Asked</dt><dd>{scope}</dd>\n\
         <dt>Preset</dt><dd>{}</dd>\n<dt>Began</dt><dd>{}</dd>\n\
         <dt>Ids of this run begin with</dt><dd>{}</dd>\n\
         <dt>Result</dt><dd><span class=\"passed\">{passed} passed</span>, \
         <span class=\"{}\">{failed} failed</span>, {not_applicable} not applicable</dd>\n</dl>\n",
        report.preset.name(),
        escaped(&report.at),
        escaped(&report.mark),
        if failed == 0 { "na" } else { "failed" },
    )?;
    if report.interrupted {
        out.push_str("<p class=\"failed\">The run was interrupted: cases are missing.</p>\n");
    }
    out.push_str(
        "<table>\n<thead><tr><th>Case<th>Rule<th>Basis<th>Verdict</tr></thead>\n<tbody>\n",
    );
    for line in &report.lines {
        row(out, line)?;
    }
    out.push_str("</tbody>\n</table>\n</html>\n");
    Ok(())
}

fn row(out: &mut String, line: &Line) -> std::fmt::Result {
    let (class, word) = match &line.verdict {
        Verdict::Passed => ("passed", "passed"),
        Verdict::Failed(_) => ("failed", "failed"),
        Verdict::NotApplicable(_) => ("na", "not applicable"),
    };
    write!(
        out,
        "<tr id=\"{0}\"><td>{0}<td>{1}",
        line.number,
        escaped(line.rule)
    )?;
    match &line.verdict {
        Verdict::Passed => {}
        Verdict::NotApplicable(why) => {
            write!(out, "<br><span class=\"na\">{}</span>", escaped(why))?;
        }
        Verdict::Failed(Failure {
            expected,
            got,
            sent,
            received,
        }) => write!(
            out,
            "<dl><dt>expected<dd>{}<dt>got<dd>{}<dt>sent<dd><pre>{}</pre>\
             <dt>received<dd><pre>{}</pre></dl>",
            escaped(expected),
            escaped(got),
            lines(sent),
            lines(received)
        )?,
    }
    writeln!(
        out,
        "<td>{}<td class=\"{class}\">{word}</tr>",
        line.basis.name()
    )
}

/// A message with a segment on each line.
fn lines(bytes: &[u8]) -> String {
    escaped(&visible(bytes).replace("<CR>", "<CR>\n"))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::report::sample;
    use super::*;

    #[test]
    fn nothing_that_was_received_is_markup() {
        let page = page(&sample());
        assert!(page.contains("Fine &lt;b&gt;"), "{page}");
        assert!(!page.contains("<b>"));
        assert!(page.contains("1 failed</span>, 1 not applicable"));
        for outside in ["http:", "https:", "<script", "src="] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
