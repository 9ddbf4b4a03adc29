//! Mistakes and warnings in recipes as people and programs see them.

use std::io::{IsTerminal as _, stderr};

use miette::{GraphicalReportHandler, LabeledSpan, MietteDiagnostic, NamedSource, Report};

use super::{
    json::Event,
    output::{Style, print_event, printable, printable_in_place, status, status_styled},
};
use crate::recipe::{Diagnostic, Severity, SourceSet, line_and_column, one_line};

/// Shows all findings in recipes: drawn on a terminal, one line each elsewhere.
pub fn show_diagnostics(style: Style, sources: &SourceSet, diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        if style == Style::Json {
            let span = diagnostic.span();
            let (line, column) = span.map_or((0, 0), |span| line_and_column(sources, span));
            let file = span.map(|span| sources.path(span.file).to_string());
            let severity = if diagnostic.severity == Severity::Error { "error" } else { "warning" };
            print_event(Event::Diagnostic {
                severity: severity.to_owned(),
                code: diagnostic.code.to_string(),
                file,
                line,
                column,
                message: diagnostic.message.clone(),
                help: diagnostic.help.clone(),
            });
        } else if stderr().is_terminal() {
            draw(sources, diagnostic);
        } else {
            status(&one_line(sources, diagnostic));
        }
    }
}

fn draw(sources: &SourceSet, diagnostic: &Diagnostic) {
    let Some(first) = diagnostic.span() else { return status(&one_line(sources, diagnostic)) };
    let mut shown = MietteDiagnostic::new(printable(&diagnostic.message)).with_code(diagnostic.code.text());
    if diagnostic.severity == Severity::Warning {
        shown = shown.with_severity(miette::Severity::Warning);
    }
    if let Some(help) = &diagnostic.help {
        shown = shown.with_help(printable(help));
    }
    // Places in other files are told as lines below.
    let (here, elsewhere): (Vec<_>, Vec<_>) = diagnostic.labels.iter().partition(|label| label.span.file == first.file);
    for label in here {
        let range = label.span.start as usize..label.span.end as usize;
        let text = Some(printable(&label.text).into_owned()).filter(|text| !text.is_empty());
        shown = shown.and_label(LabeledSpan::new_with_span(text, range));
    }
    let path = sources.path(first.file).to_string();
    let source = NamedSource::new(printable(&path), printable_in_place(sources.text(first.file)));
    let report = Report::new(shown).with_source_code(source);
    let mut text = String::new();
    match GraphicalReportHandler::new().render_report(&mut text, report.as_ref()) {
        Ok(()) => status_styled(text.trim_end()),
        Err(_) => status(&one_line(sources, diagnostic)),
    }
    for label in elsewhere {
        let (line, column) = line_and_column(sources, label.span);
        status(&format!("  {}:{line}:{column}: {}", sources.path(label.span.file), label.text));
    }
}
