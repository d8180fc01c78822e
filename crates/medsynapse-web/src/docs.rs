//! `GET /docs`: the documentation, out of the program itself.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Redirect, Response};
use pulldown_cmark::{Event, Parser, Tag, TagEnd};
use rust_embed::RustEmbed;

use crate::app::{Frame, Shared};
use crate::error_page::{not_found, render};
use crate::markdown::{Article, Target, article};

/// The folder `docs/` of the repository.
#[derive(RustEmbed)]
#[folder = "../../docs/"]
struct Folder;

/// Pages outside of the folder, by their place in the repository.
const OTHERS: [(&str, &str); 2] = [
    ("README.md", include_str!("../../../README.md")),
    (
        "benches/BASELINE.md",
        include_str!("../../../benches/BASELINE.md"),
    ),
];

/// The table of contents.
static CONTENTS: LazyLock<Vec<Group>> = LazyLock::new(contents);

/// A part of the table of contents.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) title: String,
    pub(crate) pages: Vec<Entry>,
}

/// A page in the table of contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) title: String,
    pub(crate) address: String,
}

/// What every page of the documentation shows beside its text.
pub(crate) struct Book {
    pub(crate) groups: &'static [Group],
    /// The address of the page that is shown.
    pub(crate) current: String,
}

impl Book {
    pub(crate) fn at(address: &str) -> Self {
        Self {
            groups: &CONTENTS,
            current: address.to_owned(),
        }
    }

    /// The pages before and after this one.
    fn around(&self) -> (Option<&'static Entry>, Option<&'static Entry>) {
        let pages: Vec<_> = self.groups.iter().flat_map(|group| &group.pages).collect();
        let Some(at) = pages.iter().position(|page| page.address == self.current) else {
            return (None, None);
        };
        let before = at.checked_sub(1).and_then(|at| pages.get(at));
        (before.copied(), pages.get(at + 1).copied())
    }
}

#[derive(Template)]
#[template(path = "docs.html")]
struct DocsPage {
    frame: Frame,
    book: Book,
    article: Article,
    before: Option<&'static Entry>,
    after: Option<&'static Entry>,
}

#[derive(Template)]
#[template(path = "docs_index.html")]
struct IndexPage {
    frame: Frame,
    book: Book,
}

pub(crate) async fn index(State(shared): State<Arc<Shared>>) -> Response {
    render(&IndexPage {
        frame: Frame::of(&shared.app),
        book: Book::at("/docs"),
    })
}

pub(crate) async fn page(
    State(shared): State<Arc<Shared>>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let Ok(Path(path)) = path else {
        return not_found(State(shared)).await;
    };
    if let Some(plain) = path.strip_suffix(".md") {
        return Redirect::permanent(&format!("/docs/{plain}")).into_response();
    }
    let file = format!("{path}.md");
    let file = OTHERS
        .iter()
        .map(|(name, _)| *name)
        .find(|name| *name == file);
    let file = file.map_or_else(|| format!("docs/{path}.md"), str::to_owned);
    if let Some(text) = text(&file) {
        let book = Book::at(&format!("/docs/{path}"));
        let (before, after) = book.around();
        return render(&DocsPage {
            frame: Frame::of(&shared.app),
            book,
            article: article(&text, |link| target(&file, link)),
            before,
            after,
        });
    }
    match Folder::get(&path) {
        Some(found) => as_it_is(&path, found.data),
        None => not_found(State(shared)).await,
    }
}

/// A picture, or a file to be copied.
fn as_it_is(path: &str, data: Cow<'static, [u8]>) -> Response {
    let kind = match path.rsplit_once('.').map(|(_, end)| end) {
        Some("png") => "image/png",
        Some("json") => "application/json",
        _ => "text/plain; charset=utf-8",
    };
    let about = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "private, max-age=3600"),
    ];
    (about, data.into_owned()).into_response()
}

/// A page of Markdown by its place in the repository.
fn text(file: &str) -> Option<Cow<'static, str>> {
    if let Some((_, text)) = OTHERS.iter().find(|(name, _)| *name == file) {
        return Some(Cow::Borrowed(text));
    }
    let found = Folder::get(file.strip_prefix("docs/")?)?;
    Some(match found.data {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    })
}

/// Where a link in a file of the repository leads to.
fn target(file: &str, link: &str) -> Target {
    if link.starts_with("https://") || link.starts_with("http://") {
        return Target::Away(link.to_owned());
    }
    let (path, anchor) = match link.split_once('#') {
        Some((path, anchor)) => (path, format!("#{anchor}")),
        None => (link, String::new()),
    };
    if path.is_empty() {
        return Target::Here(anchor);
    }
    let found = resolved(file, path).and_then(|file| address(&file));
    found.map_or(Target::Nowhere, |address| Target::Here(address + &anchor))
}

/// The file of the repository that a path in another one means.
fn resolved(file: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The address of a file of the repository, if it is shown.
fn address(file: &str) -> Option<String> {
    if OTHERS.iter().any(|(name, _)| *name == file) {
        return Some(format!("/docs/{}", file.trim_end_matches(".md")));
    }
    let inside = file.strip_prefix("docs/")?;
    Folder::get(inside)?;
    if inside == "SUMMARY.md" {
        return Some("/docs".to_owned());
    }
    Some(format!("/docs/{}", inside.trim_end_matches(".md")))
}

/// Reads `SUMMARY.md`.
fn contents() -> Vec<Group> {
    let file = "docs/SUMMARY.md";
    let text = text(file).unwrap_or_default();
    let mut groups = vec![Group {
        title: String::new(),
        pages: Vec::new(),
    }];
    let (mut said, mut link) = (String::new(), None);
    for event in Parser::new(&text) {
        match event {
            Event::Start(Tag::Heading { .. } | Tag::Link { .. }) => {
                said.clear();
                link = match event {
                    Event::Start(Tag::Link { dest_url, .. }) => Some(target(file, &dest_url)),
                    _ => None,
                };
            }
            Event::Text(text) | Event::Code(text) => said.push_str(&text),
            // The title of the table itself.
            Event::End(TagEnd::Heading(_))
                if groups.len() == 1 && groups.iter().all(|group| group.pages.is_empty()) => {}
            Event::End(TagEnd::Heading(_)) => groups.push(Group {
                title: std::mem::take(&mut said),
                pages: Vec::new(),
            }),
            Event::End(TagEnd::Link) => {
                if let (Some(Target::Here(address)), Some(group)) = (link.take(), groups.last_mut())
                {
                    group.pages.push(Entry {
                        title: std::mem::take(&mut said),
                        address,
                    });
                }
            }
            _ => {}
        }
    }
    groups.retain(|group| !group.pages.is_empty());
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Vec<String> {
        let folder = Folder::iter().map(|name| format!("docs/{name}"));
        let others = OTHERS.iter().map(|(name, _)| (*name).to_owned());
        let pages = folder.chain(others);
        pages
            .filter(|name| {
                std::path::Path::new(name)
                    .extension()
                    .is_some_and(|end| end == "md")
            })
            .collect()
    }

    #[test]
    fn links_lead_to_addresses() {
        let here = |address: &str| Target::Here(address.into());
        for (link, found) in [
            ("hl7-from-zero.md", here("/docs/guide/hl7-from-zero")),
            (
                "../reference/rest.md#errors",
                here("/docs/reference/rest#errors"),
            ),
            ("../../README.md", here("/docs/README")),
            ("../../benches/BASELINE.md", here("/docs/benches/BASELINE")),
            (
                "../images/web-order.png",
                here("/docs/images/web-order.png"),
            ),
            ("../SUMMARY.md", here("/docs")),
            ("#who", here("#who")),
            (
                "https://dicom.example/",
                Target::Away("https://dicom.example/".into()),
            ),
            ("../../Cargo.toml", Target::Nowhere),
            ("../../../../etc/passwd", Target::Nowhere),
            ("javascript:alert(1)", Target::Nowhere),
            ("data:text/html,x", Target::Nowhere),
        ] {
            assert_eq!(target("docs/guide/web.md", link), found, "{link}");
        }
    }

    #[test]
    fn every_page_is_in_the_contents_and_no_link_between_pages_is_dead() {
        let listed: Vec<_> = CONTENTS.iter().flat_map(|group| &group.pages).collect();
        assert!(listed.len() > 15, "{listed:?}");
        for file in files() {
            let own = address(&file).unwrap();
            let is_listed = listed.iter().any(|entry| entry.address == own);
            assert!(
                is_listed || own == "/docs",
                "{file} is not in docs/SUMMARY.md"
            );
            let page = article(&text(&file).unwrap(), |link| {
                let found = target(&file, link);
                let path = link.split('#').next().unwrap_or_default();
                let inside = resolved(&file, path).is_some_and(|to| to.starts_with("docs/"));
                // What lies elsewhere in the repository is named, not linked.
                let dead = found == Target::Nowhere && inside && !link.contains("://");
                assert!(!dead, "{file}: {link}");
                found
            });
            assert!(!page.title.is_empty(), "{file} has no heading");
            for foreign in ["<script", " style=", "<iframe", "javascript:", "<style"] {
                let inside = page.html.contains(foreign);
                assert!(!inside, "{file}: {foreign}");
            }
        }
    }

    #[test]
    fn anchors_that_pages_link_to_are_there() {
        for file in files() {
            article(&text(&file).unwrap(), |link| {
                let found = target(&file, link);
                if let Target::Here(address) = &found
                    && let Some((page, anchor)) = address.split_once('#')
                {
                    let page = match page.strip_prefix("/docs/") {
                        Some(page) => {
                            text(&format!("{page}.md")).or_else(|| text(&format!("docs/{page}.md")))
                        }
                        None => text(&file),
                    };
                    let there = article(&page.unwrap(), |_| Target::Nowhere).html;
                    assert!(
                        there.contains(&format!(" id=\"{anchor}\"")),
                        "{file}: {link}"
                    );
                }
                found
            });
        }
    }
}
