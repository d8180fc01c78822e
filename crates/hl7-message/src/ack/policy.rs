//! [`AckPolicy`]: the settings of a receiver's answers, and [`Decision`]: what it does.

use crate::ack::sequence::{InvalidNumber, Number};
use crate::ack::{AckMode, AckWhen, Answers, ApplicationOutcome, CommitOutcome};
use crate::ack::{Convention, Situation, Verdict};
use crate::header::Header;
use crate::message::Message;
use crate::segment::SegmentId;

/// Which conventions a receiver follows where the standard leaves a choice.
///
/// ```
/// use hl7_message::{AckCode, AckMode, AckPolicy, Decision, Message, Situation};
///
/// let order = b"MSH|^~\\&|RIS|H|PACS|R|||ORM^O01|MSG1|P|2.3|||AL|AL\rORC|NW\r";
/// let message = Message::parse(order)?;
/// let policy = AckPolicy::standard();
/// let mode = policy.mode(&message.header());
/// let Decision::Answer(answers) = policy.decide(Situation::RequiredFieldMissing, mode) else {
///     panic!("an order is answered");
/// };
/// assert_eq!(answers.commit, Some(AckCode::CommitAccept));
/// assert_eq!(answers.application, Some(AckCode::ApplicationError));
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a choice of its own, set by name"
)]
pub struct AckPolicy {
    /// Whose reading of AE and AR holds.
    pub convention: Convention,
    /// Whether MSH-15 and MSH-16 are looked at. Where not, every message is answered once, when
    /// the application is done.
    pub enhanced_mode: bool,
    /// Whether negative answers have an ERR segment.
    pub error_segment: bool,
    /// Take a message whose character set is not known as the bytes it is, and warn.
    pub store_unknown_charset: bool,
    /// Process a message whose MSH-10 was used before for other bytes, for senders that count
    /// anew every day.
    pub process_reused_control_id: bool,
    /// Accept, with a text that says so, what is about an order or a patient nobody knows: a
    /// cancel that comes twice is then no error.
    pub accept_unknown_key: bool,
    /// Answer each message of a batch by itself, instead of refusing the batch.
    pub answer_each_of_batch: bool,
    /// Give the commit answer that an application's answer (AA, AE, AR) asks for in its MSH-15.
    /// Nothing else that is an acknowledgement is ever acknowledged.
    pub commit_application_answers: bool,
    /// Whether the [sequence number protocol](crate::sequence) is spoken. Off by default: many
    /// senders put a number in MSH-13 that counts nothing.
    pub sequence_numbers: bool,
}

impl AckPolicy {
    /// As HL7 2.3 has it: enhanced mode for whoever asks, ERR with negative answers.
    ///
    /// ```
    /// use hl7_message::{AckPolicy, Convention};
    ///
    /// let policy = AckPolicy { accept_unknown_key: true, ..AckPolicy::standard() };
    /// assert!(policy.enhanced_mode && policy.error_segment);
    /// assert_eq!(policy.convention, Convention::Standard);
    /// ```
    pub const fn standard() -> Self {
        Self {
            convention: Convention::Standard,
            enhanced_mode: true,
            error_segment: true,
            store_unknown_charset: false,
            process_reused_control_id: false,
            accept_unknown_key: false,
            answer_each_of_batch: false,
            commit_application_answers: false,
            sequence_numbers: false,
        }
    }

    /// As the broker's statement has it: one answer, MSH-15 and MSH-16 ignored, no ERR.
    ///
    /// ```
    /// use hl7_message::{AckCode, AckMode, AckPolicy, Decision, Situation};
    ///
    /// let policy = AckPolicy::medsynapse();
    /// assert!(!policy.enhanced_mode && !policy.error_segment);
    /// let Decision::Answer(answers) = policy.decide(Situation::Unavailable, AckMode::Original) else {
    ///     panic!("whoever sent it is answered");
    /// };
    /// assert_eq!(answers.application, Some(AckCode::ApplicationError), "send it again later");
    /// ```
    pub const fn medsynapse() -> Self {
        Self {
            convention: Convention::Medsynapse,
            enhanced_mode: false,
            error_segment: false,
            ..Self::standard()
        }
    }

    /// The mode in which a message is answered.
    ///
    /// ```
    /// use hl7_message::{AckMode, AckPolicy, Message};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|||ORM^O01|MSG1|P|2.3|||AL|NE\r";
    /// let message = Message::parse(bytes)?;
    /// assert_ne!(AckPolicy::standard().mode(&message.header()), AckMode::Original);
    /// assert_eq!(AckPolicy::medsynapse().mode(&message.header()), AckMode::Original);
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn mode(&self, header: &Header<'_>) -> AckMode {
        if self.enhanced_mode {
            AckMode::of(header)
        } else {
            AckMode::Original
        }
    }

    /// The number of a message, if the protocol is spoken and the message has one.
    ///
    /// ```
    /// use hl7_message::{AckPolicy, Message};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS|H|PACS|R|||ORM^O01|MSG1|P|2.3|17\r")?;
    /// let policy = AckPolicy { sequence_numbers: true, ..AckPolicy::standard() };
    /// assert!(policy.sequence_number(&message.header()).unwrap().is_some());
    /// assert_eq!(AckPolicy::standard().sequence_number(&message.header()), Ok(None));
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// MSH-13 is no sequence number: refuse it as a wrong data type.
    pub fn sequence_number(&self, header: &Header<'_>) -> Result<Option<Number>, InvalidNumber> {
        if self.sequence_numbers {
            Number::from_field(header.sequence_number().as_bytes())
        } else {
            Ok(None)
        }
    }

    /// What is done in a situation.
    ///
    /// ```
    /// use hl7_message::{AckMode, AckPolicy, Decision, Situation};
    ///
    /// let policy = AckPolicy::standard();
    /// assert_eq!(policy.decide(Situation::BrokenFrame, AckMode::Original), Decision::Drop);
    /// assert_eq!(policy.decide(Situation::Resent, AckMode::Original), Decision::Repeat);
    /// ```
    pub const fn decide(&self, situation: Situation, mode: AckMode) -> Decision {
        match situation {
            Situation::UnknownCharset if self.store_unknown_charset => return Decision::Proceed,
            Situation::ControlIdReused if self.process_reused_control_id => {
                return Decision::Proceed;
            }
            Situation::UnknownKey if self.accept_unknown_key => {
                let good = mode.answers(CommitOutcome::Stored, ApplicationOutcome::Processed);
                return Decision::Answer(good);
            }
            Situation::Batch if self.answer_each_of_batch => return Decision::AnswerEach,
            _ => {}
        }
        match (situation.verdict(self.convention), mode, situation.commit()) {
            (Verdict::Drop, ..) => Decision::Drop,
            (Verdict::Repeat, ..) => Decision::Repeat,
            (Verdict::Answer(code), AckMode::Original, _) => Decision::Answer(Answers {
                commit: None,
                application: Some(code),
            }),
            (Verdict::Answer(_), mode @ AckMode::Enhanced { .. }, Some(commit)) => {
                Decision::Answer(mode.answers(commit, situation.application()))
            }
            (Verdict::Silence, ..) | (Verdict::Answer(_), _, None) => {
                Decision::Answer(Answers::NONE)
            }
        }
    }

    /// What is answered to a message with which nothing is the matter, once it is processed.
    /// Nothing at all to an acknowledgement, unless the policy has it otherwise.
    ///
    /// ```
    /// use hl7_message::{AckCode, AckPolicy, Message};
    ///
    /// let policy = AckPolicy::standard();
    /// let order = Message::parse(b"MSH|^~\\&|RIS|H|PACS|R|||ORM^O01|MSG1|P|2.3\rORC|NW\r")?;
    /// assert_eq!(policy.accept(&order).application, Some(AckCode::ApplicationAccept));
    /// let ack = Message::parse(b"MSH|^~\\&|PACS|R|RIS|H|||ACK|1|P|2.3\rMSA|AA|MSG1\r")?;
    /// assert!(policy.accept(&ack).is_none());
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn accept(&self, message: &Message<'_>) -> Answers {
        let mode = self.mode(&message.header());
        if is_acknowledgement(message) {
            self.commit_only(message, mode)
        } else {
            mode.answers(CommitOutcome::Stored, ApplicationOutcome::Processed)
        }
    }

    /// What an acknowledgement gets.
    fn commit_only(self, message: &Message<'_>, mode: AckMode) -> Answers {
        let from_application = message
            .segment(SegmentId::MSA)
            .and_then(|msa| msa.field(1))
            .is_some_and(|code| code.as_bytes().trim_ascii().starts_with(b"A"));
        match mode {
            AckMode::Enhanced { accept, .. }
                if self.commit_application_answers && from_application =>
            {
                AckMode::Enhanced {
                    accept,
                    application: AckWhen::Never,
                }
                .answers(CommitOutcome::Stored, ApplicationOutcome::Processed)
            }
            AckMode::Enhanced { .. } | AckMode::Original => Answers::NONE,
        }
    }
}

impl Default for AckPolicy {
    fn default() -> Self {
        Self::standard()
    }
}

/// What a receiver does.
///
/// ```
/// use hl7_message::{AckMode, AckPolicy, Decision, Situation};
///
/// match AckPolicy::standard().decide(Situation::RecordLocked, AckMode::Original) {
///     Decision::Answer(answers) => assert!(answers.application.is_some()),
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Closes the link without an answer.
    Drop,
    /// Sends again what the same message was answered before, under a new MSH-7 and MSH-10.
    Repeat,
    /// Goes on with the message, and warns.
    Proceed,
    /// Takes the messages of the batch one by one.
    AnswerEach,
    /// Sends these; there may be none.
    Answer(Answers),
}

/// Whether a message is itself an acknowledgement or an answer.
///
/// General acknowledgements (ACK, MCF) are; orders, results and demographics are not, whatever
/// segments they hold; of the others those with an MSA segment are.
///
/// ```
/// use hl7_message::{Message, is_acknowledgement};
///
/// let ack = b"MSH|^~\\&|PACS|R|RIS|H|||ACK^O01|1|P|2.3\rMSA|AA|MSG1\r";
/// assert!(is_acknowledgement(&Message::parse(ack)?));
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
pub fn is_acknowledgement(message: &Message<'_>) -> bool {
    match message.header().message_code() {
        b"ACK" | b"MCF" => true,
        b"ORM" | b"ORU" | b"ADT" => false,
        _ => message.segment(SegmentId::MSA).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ack::AckCode::{
        self, ApplicationAccept, ApplicationError, ApplicationReject, CommitAccept,
    };

    const ENHANCED: AckMode = AckMode::Enhanced {
        accept: AckWhen::Always,
        application: AckWhen::Always,
    };

    fn accepted(policy: AckPolicy, text: &str) -> [Option<AckCode>; 2] {
        let answers = policy.accept(&Message::parse(text.as_bytes()).unwrap());
        [answers.commit, answers.application]
    }

    const ACK: &str = "MSH|^~\\&|A|B|C|D|||ACK|1|P|2.3|||AL|AL\rMSA|AA|7\r";
    const COMMIT: &str = "MSH|^~\\&|A|B|C|D|||ACK|1|P|2.3|||AL|AL\rMSA|CA|7\r";
    const ORR: &str = "MSH|^~\\&|A|B|C|D|||ORR^O02|1|P|2.3|||AL|AL\rMSA|AA|7\r";
    const ORDER: &str = "MSH|^~\\&|A|B|C|D|||ORM^O01|1|P|2.3|||AL|AL\rMSA|AA|7\r";

    #[test]
    fn an_acknowledgement_is_never_acknowledged() {
        for text in [ACK, COMMIT, ORR] {
            for policy in [AckPolicy::standard(), AckPolicy::medsynapse()] {
                assert_eq!(accepted(policy, text), [None, None], "{text}");
            }
        }
        for policy in [AckPolicy::standard(), AckPolicy::medsynapse()] {
            for mode in [AckMode::Original, ENHANCED] {
                let decision = policy.decide(Situation::Acknowledgement, mode);
                assert_eq!(decision, Decision::Answer(Answers::NONE));
            }
        }
    }

    #[test]
    fn an_application_answer_may_ask_for_a_commit_answer_and_for_no_other() {
        let policy = AckPolicy {
            commit_application_answers: true,
            ..AckPolicy::standard()
        };
        assert_eq!(accepted(policy, ORR), [Some(CommitAccept), None]);
        assert_eq!(accepted(policy, COMMIT), [None, None]);
        let asks_nothing = ORR.replace("|AL|AL", "");
        assert_eq!(accepted(policy, &asks_nothing), [None, None]);
    }

    #[test]
    fn the_profile_of_the_broker_ignores_enhanced_mode() {
        let [standard, medsynapse] = [AckPolicy::standard(), AckPolicy::medsynapse()];
        let both = [Some(CommitAccept), Some(ApplicationAccept)];
        assert_eq!(accepted(standard, ORDER), both);
        assert_eq!(accepted(medsynapse, ORDER), [None, Some(ApplicationAccept)]);
    }

    #[test]
    fn sequence_numbers_are_read_where_the_policy_says_so() {
        let message = Message::parse(b"MSH|^~\\&|A|B|C|D|||ORM^O01|1|P|2.3|17\r").unwrap();
        let read = |sequence_numbers| {
            let policy = AckPolicy {
                sequence_numbers,
                ..AckPolicy::standard()
            };
            policy.sequence_number(&message.header())
        };
        assert_eq!(read(false), Ok(None));
        assert_eq!(read(true), Ok(Number::new(17)));
    }

    #[test]
    fn every_situation_is_decided_in_every_mode() {
        for situation in Situation::ALL {
            for policy in [AckPolicy::standard(), AckPolicy::medsynapse()] {
                let decision = policy.decide(situation, AckMode::Original);
                match situation.verdict(policy.convention) {
                    Verdict::Answer(code) => assert_eq!(
                        decision,
                        Decision::Answer(Answers {
                            commit: None,
                            application: Some(code)
                        })
                    ),
                    Verdict::Drop => assert_eq!(decision, Decision::Drop),
                    Verdict::Repeat => assert_eq!(decision, Decision::Repeat),
                    Verdict::Silence => assert_eq!(decision, Decision::Answer(Answers::NONE)),
                }
                if let Decision::Answer(answers) = policy.decide(situation, ENHANCED) {
                    let positive = |code: Option<AckCode>| code == Some(ApplicationAccept);
                    assert!(!positive(answers.application), "{situation:?}");
                }
            }
        }
    }

    #[test]
    fn the_options_change_their_row_alone() {
        let options = AckPolicy {
            store_unknown_charset: true,
            process_reused_control_id: true,
            accept_unknown_key: true,
            answer_each_of_batch: true,
            ..AckPolicy::standard()
        };
        let decided = |situation| options.decide(situation, AckMode::Original);
        assert_eq!(decided(Situation::UnknownCharset), Decision::Proceed);
        assert_eq!(decided(Situation::ControlIdReused), Decision::Proceed);
        assert_eq!(decided(Situation::Batch), Decision::AnswerEach);
        let answer = |code| {
            Decision::Answer(Answers {
                commit: None,
                application: Some(code),
            })
        };
        assert_eq!(decided(Situation::UnknownKey), answer(ApplicationAccept));
        assert_eq!(decided(Situation::InvalidBytes), answer(ApplicationError));
        assert_eq!(decided(Situation::Unavailable), answer(ApplicationReject));
    }
}
