//! The text of a report, put together from the sentences of its region.

use super::order::Order;

/// Writes the report of an order. The order's own bits choose, so that a second report on the
/// same study says the same and more.
pub(super) fn write_report(out: &mut String, order: &Order, addenda: u32) {
    let region = order.procedure.region;
    // The lower 54 bits choose the optional attributes.
    let choice = usize::try_from(order.shape >> 54).unwrap_or_default();
    let ill = (choice % 5 < 2).then(|| region.abnormal.get(choice / 5 % region.abnormal.len()));
    out.push_str("EXAMINATION: ");
    out.push_str(order.procedure.requested);
    out.push_str("\nCLINICAL INFORMATION: ");
    out.push_str(order.reason());
    out.push_str(if choice % 3 == 0 {
        "\nCOMPARISON: Previous study of the same region.\n\nTECHNIQUE\n"
    } else {
        "\nCOMPARISON: None.\n\nTECHNIQUE\n"
    });
    out.push_str(order.procedure.technique);
    out.push_str("\n\nFINDINGS\n");
    let impression = if let Some(Some((finding, impression))) = ill {
        out.push_str(finding);
        // Only the last two sentences hold where something is wrong.
        let rest = region.normal.len().saturating_sub(2);
        sentences(out, region.normal.get(rest..).unwrap_or_default(), '\n');
        impression
    } else {
        sentences(out, region.normal, if choice % 2 == 0 { '\n' } else { ' ' });
        region.unremarkable
    };
    out.push_str("\n\nIMPRESSION\n");
    out.push_str(impression);
    for text in ADDENDA.iter().cycle().take(addenda.min(3) as usize) {
        out.push_str("\n\nADDENDUM\n");
        out.push_str(text);
    }
}

/// What is said afterwards.
static ADDENDA: [&str; 3] = [
    "The findings were discussed with the referring physician by phone.",
    "Outside images are now available for comparison; no relevant change.",
    "Read a second time in the morning conference: agreed.",
];

fn sentences(out: &mut String, sentences: &[&str], gap: char) {
    for sentence in sentences {
        if !out.ends_with('\n') {
            out.push(gap);
        }
        out.push_str(sentence);
    }
}
