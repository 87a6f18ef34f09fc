//! Draws the tree as an SVG image. Hovering over a process shows its details.

use super::grow::{Branch, Frame, Node};
use super::lines::{columns, ids};

/// The height of a line. All sizes are in pixels.
const ROW: f64 = 26.0;
/// The indentation of a child.
const STEP: f64 = 26.0;
/// The distance between the edge of a frame and its contents.
const EDGE: f64 = 12.0;
/// The width of a character.
const LETTER: f64 = 7.2;
/// The colour of a frame by its depth, repeating after five.
const TINTS: [&str; 5] = ["#f6f7f9", "#e3eefb", "#fdf1d6", "#e4f5e6", "#f8e4ee"];
const STYLE: &str = "text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#1c2530}\
    .title{font-weight:600;fill:#3a4a5c}\
    .id{fill:#ffffff}.pill{fill:#2f5d8a}.rest{fill:#6b7785}\
    .line{fill:none;stroke:#8796a8;stroke-width:1.2}\
    .box{stroke:#5b6f86;stroke-width:1.2}";

/// The right and the bottom edge of what has been drawn.
type Corner = (f64, f64);

/// The picture as an SVG document.
pub fn svg(frame: &Frame) -> String {
    let mut drawing = Drawing { parts: Vec::new() };
    let (right, bottom) = drawing.frame(frame, EDGE, EDGE, 0);
    let (width, height) = ((right + EDGE).round_ties_even(), (bottom + EDGE).round_ties_even());
    let head = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\">\
         <title>Processes in nested pid namespaces, each by its ids outside and inside</title>\
         <style>{STYLE}</style>\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>"
    );
    format!("{head}\n{}\n</svg>\n", drawing.parts.join("\n"))
}

/// The elements so far. Each method returns the corner of what it has drawn.
struct Drawing {
    parts: Vec<String>,
}

impl Drawing {
    fn frame(&mut self, frame: &Frame, x: f64, y: f64, depth: usize) -> Corner {
        // The rectangle must come before its contents, which lie on top of it, but its size is
        // known only after them.
        let place = self.parts.len();
        self.parts.push(String::new());
        self.text(x + EDGE, y, "title", &frame.title);
        let mut right = x + 2.0 * EDGE + width(&frame.title);
        let mut bottom = y + ROW;
        for branch in &frame.branches {
            let (across, down) = self.branch(branch, x + EDGE, bottom, depth);
            right = right.max(across + EDGE);
            bottom = down;
        }
        bottom += EDGE / 2.0;
        let tint = TINTS[depth % TINTS.len()];
        let (wide, high) = (right - x, bottom - y);
        self.parts[place] = format!(
            "<rect class=\"box\" x=\"{x}\" y=\"{y}\" width=\"{wide:.1}\" height=\"{high:.1}\" \
             rx=\"8\" fill=\"{tint}\"/>"
        );
        (right, bottom + EDGE / 2.0)
    }

    fn branch(&mut self, branch: &Branch, x: f64, y: f64, depth: usize) -> Corner {
        match branch {
            Branch::Frame(frame) => self.frame(frame, x, y, depth + 1),
            Branch::Node(node) => self.node(node, x, y, depth),
        }
    }

    fn node(&mut self, node: &Node, x: f64, y: f64, depth: usize) -> Corner {
        let ids = ids(&node.ids);
        let pill = if ids.is_empty() { 0.0 } else { width(&ids) + 12.0 };
        self.parts.push(match &*node.story {
            "" => "<g>".to_owned(),
            story => format!("<g><title>{}</title>", escape(story)),
        });
        if !ids.is_empty() {
            self.parts.push(format!(
                "<rect class=\"pill\" x=\"{x}\" y=\"{}\" width=\"{pill:.1}\" height=\"{}\" \
                 rx=\"9\"/>",
                y + 4.0,
                ROW - 8.0
            ));
            self.text(x + 6.0, y, "id", &ids);
        }
        let kind = if ids.is_empty() { "rest" } else { "name" };
        self.text(x + pill + 6.0, y, kind, &node.label);
        self.parts.push("</g>".to_owned());
        let mut right = x + pill + 6.0 + width(&node.label);
        let mut bottom = y + ROW;
        let (stem, down) = (x + 10.0, y + ROW - 4.0);
        for branch in &node.branches {
            let (level, end) = (bottom + ROW / 2.0, x + STEP);
            self.parts.push(format!("<path class=\"line\" d=\"M{stem} {down}V{level}H{end}\"/>"));
            let (across, below) = self.branch(branch, x + STEP, bottom, depth);
            right = right.max(across);
            bottom = below;
        }
        (right, bottom)
    }

    fn text(&mut self, x: f64, y: f64, kind: &str, text: &str) {
        // Set the length, so that the text fits whatever font the viewer has.
        self.parts.push(format!(
            "<text class=\"{kind}\" x=\"{x:.1}\" y=\"{}\" textLength=\"{:.1}\" \
             lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\">{}</text>",
            y + 17.0,
            width(text),
            escape(text)
        ));
    }
}

fn width(text: &str) -> f64 {
    columns(text) as f64 * LETTER
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#x27;")
}
