"""What letters say, in plain words; templates/messages/letters holds the other languages.

A letter promises nothing that a verdict doesn't say, and never says "compliant". It names nobody:
the address stands in a window, or not on this paper at all.
"""

from __future__ import annotations

from collections.abc import Mapping

from auditor.domain.request import DecisionReason, LetterKind, Outcome, Regime

SUBJECTS = {
    LetterKind.ACKNOWLEDGED: "We have received your request",
    LetterKind.GRANTED: "We grant your request",
    LetterKind.EXTENDED: "We need more time for your request",
    LetterKind.REFUSED: "We do not act on your request",
    LetterKind.CLOSED: "Your request is closed",
    LetterKind.RESTRICTION_LIFTED: "The restriction of processing ends",
    LetterKind.RECIPIENT_NOTICE: "Notice to recipients of data",
}

SALUTATION = "Dear Sir or Madam,"
FAREWELL = "Yours faithfully"

RECEIVED = {
    Regime.GDPR: (
        "On {received} we received a request under Article 17 of the General Data Protection "
        "Regulation (GDPR)."
    ),
    Regime.UK_GDPR: (
        "On {received} we received a request under Article 17 of the UK General Data Protection "
        "Regulation (UK GDPR)."
    ),
    Regime.HIPAA: (
        "On {received} we received a request that we handle under the HIPAA Privacy Rule, 45 CFR "
        "Part 164."
    ),
    Regime.CCPA: (
        "On {received} we received a request under Section 1798.105 of the California Civil Code."
    ),
}
ASKED = (
    "It asks that images of you have no part any more in a computer model that reads medical "
    "images."
)
NUMBER = "It has the number {case}. Please name it whenever you write to us about it."
DUE = "You will hear from us by {due} at the latest."
IDENTITY = (
    "Before we can act on it we have to be sure that it was you who asked. Please get in touch "
    "with us."
)
CLARIFICATION = (
    "Before we can answer we have to know more precisely what you ask for. Please get in touch "
    "with us."
)
FEE = "Before we can act on it, the fee that we asked for has to be paid."
RESTRICTED = (
    "Until it is settled, no model is trained on your images, and none is applied to them, but "
    "where the law allows it, as to carry out your request."
)

GRANTED = (
    "We grant it. We will try to make the model forget your images, and then measure what is left "
    "of them in it. What we can tell you afterwards rests on that measurement.",
    "Copies that the law obliges us to keep, such as your medical record, stay. We will tell you "
    "which.",
)

EXTENDED = "We need more time to answer it."

REFUSED = "We do not act on it, and tell you why:"
REVIEW = "We will look at this again by {review}."

REASONS = {
    DecisionReason.COMPLEXITY: "The request is complex.",
    DecisionReason.NUMBER_OF_REQUESTS: "We have many requests to answer.",
    DecisionReason.EXPRESSION: (
        "The data are needed to exercise the right of freedom of expression and information."
    ),
    DecisionReason.LEGAL_OBLIGATION_TO_KEEP: (
        "A legal obligation, or a task in the public interest, requires us to process the data."
    ),
    DecisionReason.PUBLIC_HEALTH: (
        "The data are needed for reasons of public interest in the area of public health."
    ),
    DecisionReason.RESEARCH: (
        "The data are needed for research, statistics or archiving in the public interest, which "
        "their erasure would make impossible or seriously impair."
    ),
    DecisionReason.LEGAL_CLAIMS: (
        "The data are needed to establish, exercise or defend legal claims."
    ),
    DecisionReason.UNFOUNDED: "The request is manifestly unfounded.",
    DecisionReason.EXCESSIVE: "The request is excessive.",
    DecisionReason.IDENTITY_UNRESOLVED: (
        "We could not establish that the request came from the person whose data it is about."
    ),
    DecisionReason.NOT_IDENTIFIABLE: (
        "We are not in a position to tell which data, if any, are about you. If you give us what "
        "allows us to find them, we will look at your request again."
    ),
    DecisionReason.NO_GROUND: (
        "None of the grounds on which the law gives a right to erasure applies."
    ),
    DecisionReason.RELIED_UPON: (
        "We had acted in reliance on your authorisation before you revoked it."
    ),
    DecisionReason.RECORDS_LAW: "The law on medical records requires us to keep the data.",
    DecisionReason.EXEMPT: "The data are governed by HIPAA, and exempt from this right.",
}

CITATIONS: Mapping[tuple[Regime, DecisionReason], str] = {
    (Regime.GDPR, DecisionReason.COMPLEXITY): "Article 12(3) GDPR",
    (Regime.GDPR, DecisionReason.NUMBER_OF_REQUESTS): "Article 12(3) GDPR",
    (Regime.GDPR, DecisionReason.EXPRESSION): "Article 17(3)(a) GDPR",
    (Regime.GDPR, DecisionReason.LEGAL_OBLIGATION_TO_KEEP): "Article 17(3)(b) GDPR",
    (Regime.GDPR, DecisionReason.PUBLIC_HEALTH): "Article 17(3)(c) GDPR",
    (Regime.GDPR, DecisionReason.RESEARCH): "Article 17(3)(d) GDPR",
    (Regime.GDPR, DecisionReason.LEGAL_CLAIMS): "Article 17(3)(e) GDPR",
    (Regime.GDPR, DecisionReason.UNFOUNDED): "Article 12(5) GDPR",
    (Regime.GDPR, DecisionReason.EXCESSIVE): "Article 12(5) GDPR",
    (Regime.GDPR, DecisionReason.IDENTITY_UNRESOLVED): "Article 12(6) GDPR",
    (Regime.GDPR, DecisionReason.NOT_IDENTIFIABLE): "Article 11(2) GDPR",
    (Regime.GDPR, DecisionReason.NO_GROUND): "Article 17(1) GDPR",
    (Regime.UK_GDPR, DecisionReason.COMPLEXITY): "Article 12(3) UK GDPR",
    (Regime.UK_GDPR, DecisionReason.NUMBER_OF_REQUESTS): "Article 12(3) UK GDPR",
    (Regime.UK_GDPR, DecisionReason.EXPRESSION): "Article 17(3)(a) UK GDPR",
    (Regime.UK_GDPR, DecisionReason.LEGAL_OBLIGATION_TO_KEEP): "Article 17(3)(b) UK GDPR",
    (Regime.UK_GDPR, DecisionReason.PUBLIC_HEALTH): "Article 17(3)(c) UK GDPR",
    (Regime.UK_GDPR, DecisionReason.RESEARCH): "Article 17(3)(d) UK GDPR",
    (Regime.UK_GDPR, DecisionReason.LEGAL_CLAIMS): "Article 17(3)(e) UK GDPR",
    (Regime.UK_GDPR, DecisionReason.UNFOUNDED): "Article 12(5) UK GDPR",
    (Regime.UK_GDPR, DecisionReason.EXCESSIVE): "Article 12(5) UK GDPR",
    (Regime.UK_GDPR, DecisionReason.IDENTITY_UNRESOLVED): "Article 12(6) UK GDPR",
    (Regime.UK_GDPR, DecisionReason.NOT_IDENTIFIABLE): "Article 11(2) UK GDPR",
    (Regime.UK_GDPR, DecisionReason.NO_GROUND): "Article 17(1) UK GDPR",
    (Regime.HIPAA, DecisionReason.RELIED_UPON): "45 CFR 164.508(b)(5)(i)",
    (Regime.CCPA, DecisionReason.EXEMPT): "Cal. Civ. Code Section 1798.145(c)",
}
PROVISION = "Provision: {citation}"

OUTCOMES = {
    Outcome.NOT_ERASED: (
        "We tried to make the model forget your images. What was measured does not show that this "
        "succeeded, so no certificate is issued.",
        "Your request stays open to a further attempt, such as training a model again from the "
        "start.",
    ),
    Outcome.NOTHING_TO_UNLEARN: (
        "None of your images is among those that the model is trained on, so there is nothing for "
        "it to forget. This is what our records of its training say; it was not measured on the "
        "model itself.",
    ),
    Outcome.WITHDRAWN: ("You took the request back, and we closed it.",),
}
EXACT = (
    "The model was trained again, without the images of you that we know of, and took the place of "
    "the one before. The training, repeated, gave the same model bit for bit.",
)
STATISTICAL = (
    "The model was changed so as to forget your images, and what is left of them was measured. Up "
    "to {margin} of the influence of having been trained on them cannot be excluded; no influence "
    "above that was detected.",
)
OF_SEVERAL = (
    "That was measured of several persons' images together. Each person's were looked at alone, "
    "too; yet those of one that were not forgotten can go unseen among the others."
)
NOT_TRIED = (
    "We could not try to make the model forget your images: no model without them could be "
    "trained, or shown to be without them, by what we have. No certificate is issued.",
    "Your request is not settled by that. What is left to us is to take the model out of service, "
    "or to train another one on other data.",
)
NOTHING_MORE = (
    "By our records of its training, none of your images is left among those that the model is "
    "trained on.",
)
EARLIER = (
    "Your request, or part of it, was settled before; what can be said of that stands in the "
    "document of case {cases}."
)
RETAINED = "These copies stay, for the reasons named:"
RETAINED_ONE = "{what}: {why}"
RETAINED_UNTIL = "{what}: {why}; looked at again on {review}"
ENCLOSED = (
    "The document enclosed says in full what was done, what was measured, and what is not claimed. "
    "Anyone can check it without having to trust us."
)

WAS_RESTRICTED = (
    "Since {since} the processing of your images was restricted: they were to be used only where "
    "the law allows it meanwhile, as to carry out your request."
)
LIFTING = "We are about to lift this restriction, and tell you so before we do."
LIFTED = "This restriction was lifted on {lifted}."
RESTRICTION = {Regime.GDPR: "Article 18(3) GDPR", Regime.UK_GDPR: "Article 18(3) UK GDPR"}

NOTICE = (
    "You were given images of a person by us, or a model that was trained on them. We have granted "
    "a request that these images have no part any more in a model of ours, and tell you so.",
    "Please examine what follows from this for the copies that you hold, and for models that were "
    "trained on them, and write to us what you have done.",
    "Which data are concerned we tell you on the way on which you were given them; this letter "
    "names nobody. The person concerned is told, on request, who the recipients are.",
)
RECIPIENTS = {Regime.GDPR: "Article 19 GDPR", Regime.UK_GDPR: "Article 19 UK GDPR"}

COMPLAINT = {
    Regime.GDPR: (
        "You may lodge a complaint with a supervisory authority, in particular where you live or "
        "work, or where you believe that the law was infringed (Article 77 GDPR). The authority "
        "that supervises us is:"
    ),
    Regime.UK_GDPR: (
        "You may complain to us, and to the authority that supervises us (Article 77 UK GDPR):"
    ),
    Regime.HIPAA: (
        "You may complain to us, and to the Secretary of Health and Human Services (45 CFR "
        "160.306):"
    ),
    Regime.CCPA: "You may complain to us, and to the authority that enforces the law:",
}
REMEDY = {
    Regime.GDPR: "You may also seek a judicial remedy before a court (Article 79 GDPR).",
    Regime.UK_GDPR: "You may also seek a judicial remedy before a court (Article 79 UK GDPR).",
    Regime.HIPAA: "Rights that other law gives you before a court are not touched by this letter.",
    Regime.CCPA: "Rights that other law gives you before a court are not touched by this letter.",
}

CONTACT = "You reach us at:"
