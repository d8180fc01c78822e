//! [`Article`]: Markdown as HTML in which nothing is foreign: no HTML of its own, no images or
//! scripts of others, no style.

use pulldown_cmark::{
    CodeBlockKind, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html,
};

/// A page of Markdown, ready to be shown.
#[derive(Debug, Default)]
pub(crate) struct Article {
    /// Its first heading.
    pub(crate) title: String,
    pub(crate) html: String,
    /// The headings of the second level: their anchors and texts.
    pub(crate) sections: Vec<(String, String)>,
}

/// Where a link of a page leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// An address of these pages.
    Here(String),
    /// An address elsewhere, that a person may follow.
    Away(String),
    /// Nowhere that could be shown.
    Nowhere,
}

/// Reads a page; `target` says where its links lead to.
pub(crate) fn article(text: &str, target: impl Fn(&str) -> Target) -> Article {
    let mut page = Article::default();
    let mut events = Vec::new();
    // What each open link was written as, so that it is closed alike.
    let mut links = Vec::new();
    let mut pictures = 0_usize;
    let mut anchors = Anchors::default();
    let mut parser = Parser::new_ext(text, Options::ENABLE_TABLES);
    while let Some(event) = parser.next() {
        let event = match event {
            Event::Start(Tag::Heading { level, .. }) => {
                let inside = inside(&mut parser);
                let said = plain(&inside);
                let anchor = anchors.make(&said);
                if level == HeadingLevel::H1 && page.title.is_empty() {
                    page.title.clone_from(&said);
                }
                if level == HeadingLevel::H2 {
                    page.sections.push((anchor.clone(), said));
                }
                events.push(raw(format!("<{level} id=\"{anchor}\">")));
                events.extend(inside);
                raw(format!("</{level}>\n"))
            }
            Event::Start(Tag::Link { dest_url, .. }) => match target(&dest_url) {
                Target::Here(address) => {
                    links.push("a");
                    raw(format!("<a href=\"{}\">", escaped(&address)))
                }
                Target::Away(address) => {
                    links.push("a");
                    let address = escaped(&address);
                    raw(format!("<a href=\"{address}\" rel=\"noreferrer\">"))
                }
                Target::Nowhere => {
                    links.push("span");
                    raw("<span>".into())
                }
            },
            Event::End(TagEnd::Link) => raw(format!("</{}>", links.pop().unwrap_or("span"))),
            Event::Start(Tag::Image { dest_url, .. }) => {
                let said = escaped(&plain(&inside(&mut parser)));
                pictures += 1;
                match target(&dest_url) {
                    Target::Here(address) => {
                        let address = escaped(&address);
                        let lazy = if pictures > 1 {
                            " loading=\"lazy\""
                        } else {
                            ""
                        };
                        raw(format!("<img src=\"{address}\" alt=\"{said}\"{lazy}>"))
                    }
                    Target::Away(_) | Target::Nowhere => raw(format!("<em>{said}</em>")),
                }
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                let language = match &kind {
                    CodeBlockKind::Fenced(words) => words.split([' ', ',']).next(),
                    CodeBlockKind::Indented => None,
                };
                let language = escaped(language.unwrap_or_default());
                raw(format!(
                    "<pre tabindex=\"0\" data-language=\"{language}\"><code>"
                ))
            }
            Event::End(TagEnd::CodeBlock) => raw("</code></pre>\n".into()),
            // Alignment would be a style.
            Event::Start(Tag::Table(columns)) => {
                let frame =
                    "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Table\">";
                events.push(raw(frame.into()));
                let plain = columns.iter().map(|_| pulldown_cmark::Alignment::None);
                Event::Start(Tag::Table(plain.collect()))
            }
            Event::End(TagEnd::Table) => {
                events.push(Event::End(TagEnd::Table));
                raw("</div>\n".into())
            }
            // Remarks are for those who write.
            Event::Html(markup) | Event::InlineHtml(markup) => {
                if markup.trim_start().starts_with("<!--") {
                    continue;
                }
                Event::Text(markup)
            }
            other => other,
        };
        events.push(event);
    }
    html::push_html(&mut page.html, events.into_iter());
    page
}

fn raw(markup: String) -> Event<'static> {
    Event::InlineHtml(CowStr::from(markup))
}

/// Everything up to the end of what has just begun.
fn inside<'a>(events: &mut impl Iterator<Item = Event<'a>>) -> Vec<Event<'a>> {
    let mut depth = 1_usize;
    let mut all = Vec::new();
    for event in events {
        match &event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        all.push(match event {
            // A heading leads nowhere, and holds no pictures.
            Event::Start(Tag::Link { .. } | Tag::Image { .. })
            | Event::End(TagEnd::Link | TagEnd::Image) => continue,
            Event::Html(markup) | Event::InlineHtml(markup) => Event::Text(markup),
            other => other,
        });
    }
    all
}

fn plain(events: &[Event<'_>]) -> String {
    let texts = events.iter().map(|event| match event {
        Event::Text(text) | Event::Code(text) => text,
        _ => "",
    });
    texts.collect()
}

/// The anchors of a page, each once.
#[derive(Debug, Default)]
struct Anchors(Vec<String>);

impl Anchors {
    /// As the usual hosts of Markdown make them: small letters, digits, hyphens for blanks.
    fn make(&mut self, heading: &str) -> String {
        let letters = heading.chars().filter_map(|c| match c {
            ' ' | '-' => Some('-'),
            '_' => Some('_'),
            c if c.is_alphanumeric() => Some(c),
            _ => None,
        });
        let name: String = letters.flat_map(char::to_lowercase).collect();
        let mut anchor = name.clone();
        let mut number = 0;
        while self.0.contains(&anchor) {
            number += 1;
            anchor = format!("{name}-{number}");
        }
        self.0.push(anchor.clone());
        anchor
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(text: &str) -> String {
        let target = |address: &str| match address {
            "here.md" => Target::Here("/docs/here".into()),
            _ if address.starts_with("https://") => Target::Away(address.into()),
            _ => Target::Nowhere,
        };
        article(text, target).html
    }

    #[test]
    fn markup_of_others_is_text() {
        for (text, shown) in [
            (
                "<script>alert(1)</script>",
                "&lt;script&gt;alert(1)&lt;/script&gt;",
            ),
            (
                "a <b onclick=x>b</b>",
                "<p>a &lt;b onclick=x&gt;b&lt;/b&gt;</p>\n",
            ),
            ("a<!-- remark -->b", "<p>ab</p>\n"),
            ("[x](javascript:alert(1))", "<p><span>x</span></p>\n"),
            (
                "![seen](https://evil.example/x.png)",
                "<p><em>seen</em></p>\n",
            ),
            (
                "![\"q\"](here.md)",
                "<p><img src=\"/docs/here\" alt=\"&quot;q&quot;\"></p>\n",
            ),
            ("[x](here.md)", "<p><a href=\"/docs/here\">x</a></p>\n"),
            (
                "[x](https://dicom.example/a\"b)",
                "<p><a href=\"https://dicom.example/a&quot;b\" rel=\"noreferrer\">x</a></p>\n",
            ),
            (
                "```\"><script>\n<b>\n```",
                "<pre tabindex=\"0\" data-language=\"&quot;&gt;&lt;script&gt;\"><code>&lt;b&gt;\n</code></pre>\n",
            ),
            (
                "## A <i>b</i>",
                "<h2 id=\"a-ibi\">A &lt;i&gt;b&lt;/i&gt;</h2>\n",
            ),
        ] {
            assert_eq!(html(text), shown, "{text}");
        }
    }

    #[test]
    fn tables_have_no_style() {
        let found = html("|a|b|\n|--:|:-:|\n|1|2|\n");
        assert!(
            found.contains("<table>") && !found.contains("style"),
            "{found}"
        );
        assert!(found.starts_with("<div class=\"scroll\""), "{found}");
    }

    #[test]
    fn headings_are_anchors() {
        let page = article(
            "# The `pages`\n\n## Who can see?\n\n## Who can see?\n",
            |_| Target::Nowhere,
        );
        assert_eq!(page.title, "The pages");
        let anchors: Vec<_> = page
            .sections
            .iter()
            .map(|(anchor, _)| anchor.as_str())
            .collect();
        assert_eq!(anchors, ["who-can-see", "who-can-see-1"]);
    }
}
