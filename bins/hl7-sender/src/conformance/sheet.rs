//! [`Sheet`]: a message to take apart, and [`Maker`]: believable ones under ids of this run alone.

/// A message as rows of whole fields, so that a case can break one thing in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sheet {
    /// Row `[0]` is the name; `[n]` is field n. In MSH, `[1]` is the separator itself.
    rows: Vec<Vec<String>>,
    terminator: &'static str,
}

impl Sheet {
    fn new(lines: &[String]) -> Self {
        let rows = lines.iter().map(|line| row(line)).collect();
        Self {
            rows,
            terminator: "\r",
        }
    }

    /// MSH-10.
    pub(super) fn control_id(&self) -> String {
        self.field("MSH", 10).to_owned()
    }

    /// A whole field; empty where it is not there.
    pub(super) fn field(&self, segment: &str, number: usize) -> &str {
        self.rows
            .iter()
            .find(|row| is(row, segment))
            .and_then(|row| row.get(number))
            .map_or("", String::as_str)
    }

    /// Puts a whole field, as it is, into the first segment of that name.
    #[must_use]
    pub(super) fn set(mut self, segment: &str, number: usize, value: &str) -> Self {
        if let Some(row) = self.rows.iter_mut().find(|row| is(row, segment)) {
            while row.len() <= number {
                row.push(String::new());
            }
            if let Some(field) = row.get_mut(number) {
                value.clone_into(field);
            }
        }
        self
    }

    /// Leaves out every segment of that name.
    #[must_use]
    pub(super) fn without(mut self, segment: &str) -> Self {
        self.rows.retain(|row| !is(row, segment));
        self
    }

    /// Puts the first segment of that name in a second time, behind itself.
    #[must_use]
    pub(super) fn twice(mut self, segment: &str) -> Self {
        if let Some(at) = self.rows.iter().position(|row| is(row, segment)) {
            let again = self.rows.get(at).cloned().unwrap_or_default();
            self.rows.insert(at + 1, again);
        }
        self
    }

    /// Puts a segment at the end.
    #[must_use]
    pub(super) fn with(mut self, line: &str) -> Self {
        self.rows.push(row(line));
        self
    }

    /// Turns the segments behind MSH round.
    #[must_use]
    pub(super) fn reversed(mut self) -> Self {
        if let Some(rows) = self.rows.get_mut(1..) {
            rows.reverse();
        }
        self
    }

    /// Ends segments otherwise than with CR.
    #[must_use]
    pub(super) const fn ended_by(mut self, terminator: &'static str) -> Self {
        self.terminator = terminator;
        self
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut text = String::new();
        for row in &self.rows {
            // MSH-1 stands between the name and MSH-2.
            let mut fields: Vec<&str> = row.iter().map(String::as_str).collect();
            if is(row, "MSH") && fields.len() > 1 {
                fields.remove(1);
            }
            text.push_str(&fields.join("|"));
            text.push_str(self.terminator);
        }
        text.into_bytes()
    }

    /// The bytes with other delimiters than `|^~\&`: each of the five is replaced by its
    /// counterpart.
    pub(super) fn bytes_with(&self, delimiters: [u8; 5]) -> Vec<u8> {
        let mut bytes = self.bytes();
        for byte in &mut bytes {
            if let Some(at) = b"|^~\\&".iter().position(|usual| usual == byte) {
                *byte = delimiters.get(at).copied().unwrap_or(*byte);
            }
        }
        bytes
    }
}

fn is(row: &[String], name: &str) -> bool {
    row.first().is_some_and(|first| first == name)
}

fn row(line: &str) -> Vec<String> {
    let mut row: Vec<String> = line.split('|').map(str::to_owned).collect();
    if is(&row, "MSH") {
        row.insert(1, "|".to_owned());
    }
    row
}

/// Makes messages whose control ids, accession numbers and patient ids all begin with the mark of
/// one run, and remembers the orders that came of them.
#[derive(Debug)]
pub(super) struct Maker {
    mark: String,
    /// MSH-7 of every message.
    now: String,
    last: u32,
    orders: Vec<String>,
}

impl Maker {
    /// A mark of six letters leaves room in the sixteen characters of an accession number.
    pub(super) fn new(mark: &str, now: &str) -> Self {
        Self {
            mark: mark.to_owned(),
            now: now.to_owned(),
            last: 0,
            orders: Vec::new(),
        }
    }

    /// What every id begins with.
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    /// The accession numbers that were handed out.
    pub(super) fn orders(&self) -> &[String] {
        &self.orders
    }

    fn number(&mut self) -> u32 {
        self.last += 1;
        self.last
    }

    /// A control id that was not used before.
    pub(super) fn control_id(&mut self) -> String {
        let number = self.number();
        format!("{}-{number:05}", self.mark)
    }

    /// An accession number that was not used before.
    pub(super) fn accession(&mut self) -> String {
        let number = self.number();
        let accession = format!("{}A{number:05}", self.mark);
        self.orders.push(accession.clone());
        accession
    }

    /// Accession numbers that a case made itself, so that they are taken away, too.
    pub(super) fn remember(&mut self, accessions: &[&str]) {
        let own = accessions.iter().map(|&accession| accession.to_owned());
        self.orders.extend(own);
    }

    /// A patient id that was not used before.
    pub(super) fn patient(&mut self) -> String {
        let number = self.number();
        format!("{}P{number:05}", self.mark)
    }

    fn header(&mut self, kind: &str) -> String {
        let (now, id) = (self.now.clone(), self.control_id());
        format!(r"MSH|^~\&|HL7SENDER|CONFORMANCE|PACS_APP|PACS_FACILITY|{now}||{kind}|{id}|P|2.3")
    }

    /// ORM^O01 with everything that is mandatory, for an order and a patient.
    pub(super) fn order(&mut self, control: &str, accession: &str, patient: &str) -> Sheet {
        Sheet::new(&[
            self.header("ORM^O01"),
            format!("PID|1||{patient}||CONFORMANCE^RUN^A||19700101|F"),
            "PV1|1|O".to_owned(),
            format!("ORC|{control}"),
            format!(
                "OBR|1|{accession}||CTCHEST^CT Chest|ROUTINE||||||||||CT Chest|||CT Room 1|RP1||CT1\
                 |||CT||||||||||||20300102030405"
            ),
        ])
    }

    /// A new order of a new patient.
    pub(super) fn new_order(&mut self) -> Sheet {
        let (accession, patient) = (self.accession(), self.patient());
        self.order("NW", &accession, &patient)
    }

    /// The shortest order message that names an order: for CA and CM.
    pub(super) fn control(&mut self, control: &str, accession: &str) -> Sheet {
        Sheet::new(&[
            self.header("ORM^O01"),
            format!("ORC|{control}"),
            format!("OBR|1|{accession}"),
        ])
    }

    /// ORU^R01 with a report in plain text.
    pub(super) fn report(&mut self, accession: &str, patient: &str, text: &str) -> Sheet {
        let now = self.now.clone();
        Sheet::new(&[
            self.header("ORU^R01"),
            format!("PID|1||{patient}||CONFORMANCE^RUN^A||19700101|F"),
            "PV1|1|O".to_owned(),
            "ORC|NW".to_owned(),
            format!(
                "OBR|1|{accession}||CTCHEST^CT Chest|ROUTINE||||||||||CT Chest|||CT Room 1|RP1||CT1\
                 |||CT||||||||||||20300102030405"
            ),
            format!("OBX|1|TX|CTCHEST^CT Chest||{text}||||||F|||{now}||R1^READER"),
        ])
    }

    /// ADT^A08.
    pub(super) fn update(&mut self, patient: &str, name: &str) -> Sheet {
        let now = self.now.clone();
        Sheet::new(&[
            self.header("ADT^A08"),
            format!("EVN|A08|{now}"),
            format!("PID|1||{patient}||{name}|||F"),
        ])
    }

    /// ADT^A40.
    pub(super) fn merge(&mut self, from: &str, into: &str) -> Sheet {
        let now = self.now.clone();
        Sheet::new(&[
            self.header("ADT^A40"),
            format!("EVN|A40|{now}"),
            format!("PID|1||{into}||CONFORMANCE^RUN^A"),
            format!("MRG|{from}"),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_breaks_one_thing_at_a_time() {
        let mut maker = Maker::new("QQQQQQ", "20300102030405");
        let sheet = maker.control("CA", "ACC1");
        let text = |sheet: &Sheet| String::from_utf8(sheet.bytes()).unwrap();
        let header = r"MSH|^~\&|HL7SENDER|CONFORMANCE|PACS_APP|PACS_FACILITY|20300102030405||ORM^O01|QQQQQQ-00001|P|2.3";
        assert_eq!(text(&sheet), format!("{header}\rORC|CA\rOBR|1|ACC1\r"));
        assert_eq!(sheet.control_id(), "QQQQQQ-00001");
        let set = sheet.clone().set("OBR", 4, "X^Y").set("MSH", 11, "T");
        let header_t = header.replace("|P|2.3", "|T|2.3");
        assert_eq!(text(&set), format!("{header_t}\rORC|CA\rOBR|1|ACC1||X^Y\r"));
        let changed = sheet.clone().without("ORC").twice("OBR").with("NTE|1");
        assert_eq!(
            text(&changed),
            format!("{header}\rOBR|1|ACC1\rOBR|1|ACC1\rNTE|1\r")
        );
        let odd = sheet.bytes_with(*b"#$%@*");
        assert!(odd.starts_with(b"MSH#$%@*#HL7SENDER#"));
    }

    #[test]
    fn ids_fit_and_are_the_runs_own() {
        let mut maker = Maker::new("QQQQQQ", "20300102030405");
        let (accession, patient) = (maker.accession(), maker.patient());
        assert!(accession.len() <= 16 && accession.starts_with("QQQQQQ"));
        assert!(patient.starts_with("QQQQQQ") && maker.control_id().len() <= 20);
        assert_eq!(maker.orders(), [accession]);
    }
}
