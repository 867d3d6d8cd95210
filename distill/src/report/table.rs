//! Tables, for a terminal and in Markdown. The first column is text, the others are figures.

/// Rows of cells under a header.
pub(crate) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(header: &[&str]) -> Self {
        Self { header: header.iter().map(|cell| (*cell).to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row with as many cells as the header.
    pub(crate) fn push(&mut self, row: Vec<String>) {
        debug_assert_eq!(row.len(), self.header.len());
        self.rows.push(row);
    }

    /// The table with these of its columns alone.
    pub(crate) fn with(&self, columns: &[&str]) -> Self {
        let kept: Vec<usize> = (0..self.header.len()).filter(|i| columns.contains(&self.header[*i].as_str())).collect();
        let pick = |row: &Vec<String>| kept.iter().map(|i| row[*i].clone()).collect();
        Self { header: pick(&self.header), rows: self.rows.iter().map(pick).collect() }
    }

    pub(crate) fn to_markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = format!("|---|{}\n", "---:|".repeat(self.header.len() - 1));
        line(&self.header) + &rule + &self.rows.iter().map(|row| line(row)).collect::<String>()
    }

    pub(crate) fn to_text(&self) -> String {
        let all: Vec<&Vec<String>> = std::iter::once(&self.header).chain(&self.rows).collect();
        let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        let mut text = String::new();
        for (i, row) in all.iter().enumerate() {
            let cell = |(column, cell): (usize, &String)| match column {
                0 => format!("  {cell:<0$}", widths[0]),
                _ => format!("   {cell:>0$}", widths[column]),
            };
            let line: String = row.iter().enumerate().map(cell).collect();
            text += line.trim_end();
            text.push('\n');
            if i == 0 {
                text += &format!("  {}\n", "─".repeat(widths.iter().sum::<usize>() + 3 * (widths.len() - 1)));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_in_text_and_marked_in_markdown() {
        let mut table = Table::new(&["", "σ = 0.1"]);
        table.push(vec!["teacher".to_owned(), "7".to_owned()]);
        assert_eq!(table.to_text(), "            σ = 0.1\n  ─────────────────\n  teacher         7\n");
        assert_eq!(table.to_markdown(), "|  | σ = 0.1 |\n|---|---:|\n| teacher | 7 |\n");
    }

    #[test]
    fn columns_can_be_left_out() {
        let mut table = Table::new(&["", "a", "b"]);
        table.push(["x", "1", "2"].map(str::to_owned).to_vec());
        assert_eq!(table.with(&["", "b"]).to_markdown(), "|  | b |\n|---|---:|\n| x | 2 |\n");
    }
}
