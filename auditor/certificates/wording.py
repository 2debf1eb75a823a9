"""Plain sentences for a reader who knows law and no machine learning.

What a document claims is worded here once, in the language of the document, enters the signed
statement, and is printed from it: what was signed is what is read. Sentences stand here in English;
templates/messages holds them in the other languages.
Never "erased from existence", "anonymous", "compliant" (DESIGN section 2).
"""

from __future__ import annotations

from auditor.certificates.catalogue import language_of, percent
from auditor.certificates.facts import DocumentFacts, PlanFacts
from auditor.domain.canonical import power_text
from auditor.domain.language import Language
from auditor.domain.model_events import MadeOf
from auditor.domain.request import Outcome, Regime
from auditor.domain.route import Obstacle
from auditor.domain.verdict import Basis, Verdict

HIPAA_BANNER = (
    "HIPAA has no general right of erasure. A covered entity acts on a revoked authorisation "
    "(45 CFR 164.508(b)(5)), a contract or its own policy."
)
SYNTHETIC_NOTICE = (
    "Synthetic data. The images are drawn phantoms; no real patient is concerned, and this "
    "document shows how the procedure works."
)

_BASES = {
    Basis.EXACT: (
        "Exact. The model now in service was trained again, without {whose} images, by a method "
        "that cannot have seen them; the training was then replayed and gave the same weights "
        "bit for bit. The assurance comes from how the model was made, not from a test. The "
        "statistical verdict is printed as it is and can only speak against it."
    ),
    Basis.STATISTICAL_INDIVIDUAL: (
        "Statistical, for this request on its own. The new model was compared with models trained "
        "without {whose} images and with models trained with them, by a plan fixed in the ledger "
        "before the run. Its influence measure lies within the margin; no other test objects or is "
        "in doubt."
    ),
    Basis.STATISTICAL_COHORT: (
        "Statistical, for the patients of this request as a cohort. The cohort as a whole passed; "
        "none of them alone could be told from patients whom the model never saw; and the method's "
        "qualification, measured on other patients, was current."
    ),
    Basis.NONE: (
        "None. The evidence below supports no basis of assurance, so no certificate is issued."
    ),
}

_TRIED_BEFORE = (
    "It is number {number} of this method's qualifications on this model; with shortfalls or not "
    "ended, of those before it: {short}."
)

_OBSTACLES = {
    Obstacle.NOTHING_LEFT: (
        "The model was trained on {whose} images alone: without them nothing is left to train a "
        "model on."
    ),
    Obstacle.CLASS_LEFT_EMPTY: (
        "For one of its classes the model was trained on {whose} images alone, or nearly: without "
        "them no model learns that class, and none can be compared with models that know it."
    ),
    Obstacle.TOO_FEW_TO_COMPARE: (
        "Of one of the classes too few images of other patients were trained on or set apart from "
        "training to compare models by: no model without {whose} images can be audited, not even "
        "one trained again from the start."
    ),
    Obstacle.STARTS_TRAINED: (
        "Each training of the model starts from weights that are there beforehand. If these were "
        "trained on {whose} images, a model trained again from the start would hold them, too, and "
        "so would every model it could be compared with. Only a model that starts from weights "
        "drawn by chance is free of them."
    ),
    Obstacle.NOT_AUDITABLE: (
        "Models of this architecture and recipe answer, somewhere within, the same for all images "
        "or with what is no number, and nothing can be measured by that: no model without {whose} "
        "images can be audited, not even one trained again from the start by this recipe."
    ),
    Obstacle.READ_BY_METHOD: (
        "No model was trained on {whose} images, but the method that made the model in service "
        "read some of them as examples of patients it was not trained on. What that left in the "
        "model can't be measured, and only a model trained from the start is free of it."
    ),
}

_NOT_RUN = "The request was refused and no unlearning was run."
_RUN_BEFORE = (
    "The request was refused. Unlearning had been begun before; no model that came of it was put "
    "into service."
)
_REPLY = "The reasons belong in the controller's reply to the person."
_REPLIES = {
    Regime.GDPR: (
        "The reasons, and the right to lodge a complaint with a supervisory authority and to seek "
        "a judicial remedy, belong in the controller's reply to the person (Article 12(4) GDPR)."
    ),
    Regime.UK_GDPR: (
        "The reasons, and the right to lodge a complaint with a supervisory authority and to seek "
        "a judicial remedy, belong in the controller's reply to the person (Article 12(4) UK GDPR)."
    ),
}
_WITHDRAWN = "The request was withdrawn by the person who made it; the case was closed."


_AUDITED_BEFORE = (
    "Models were audited before in case {case}, for some of the same persons or for persons whose "
    "identifiers are destroyed since, with a margin of {margin} (plan {plan}); that case led to no "
    "certificate."
)

_PLANNED_BEFORE = (
    "A plan was fixed before in case {case}, for some of the same persons or for persons whose "
    "identifiers are destroyed since, with a margin of {margin} (plan {plan}); no model was "
    "audited by it, and that case has led to no certificate."
)

_STARTS_FROM = (
    "Each training of this model starts from weights that were there beforehand, {name} ({digest})."
)
_MADE_OF = {
    MadeOf.OTHER_THINGS: (
        "The controller declared on {day} that they were made of images of other things than "
        "patients."
    ),
    MadeOf.OTHER_PATIENTS: (
        "The controller declared on {day} that they were made of images of patients elsewhere, and "
        "of none whose images it holds."
    ),
}
_DECLARED_NO_MORE = "It has taken that back since."
_MERELY_DECLARED = (
    "That cannot be seen in them and was not verified, and no test here tells: the models compared "
    "start from them, too."
)


def summary(facts: DocumentFacts) -> tuple[str, ...]:
    """The first lines of the document: what may be relied on, and what can't be excluded."""
    language = language_of(facts.locale)
    before = _audited_before(facts, language)
    start = _starts_from(facts, language)
    match facts.outcome:
        case Outcome.CERTIFIED:
            return (*_certified(facts, language), *start, *_also(facts, language), *before)
        case Outcome.NOT_ERASED:
            return (*_not_erased(facts, language), *start, *before)
        case Outcome.NOTHING_TO_UNLEARN:
            return (*_nothing(facts, language), *start, *_also(facts, language))
        case Outcome.REFUSED:
            reply = language.say(_REPLIES.get(facts.request.regime, _REPLY))
            ran = language.say(_RUN_BEFORE if facts.attempts else _NOT_RUN)
            return (f"{ran} {reply}", *before)
        case Outcome.WITHDRAWN:
            return (language.say(_WITHDRAWN), *before)


def basis_explanation(facts: DocumentFacts, basis: Basis) -> str:
    """What the basis of assurance means, in plain words."""
    language = language_of(facts.locale)
    meant = language.say(_BASES[basis], whose=whose(facts))
    cited = None if facts.conclusion is None else facts.conclusion.qualification
    if cited is None or cited.number == 1:
        return meant
    tried = language.say(_TRIED_BEFORE, number=str(cited.number), short=str(cited.short))
    return f"{meant} {tried}"


def notices(facts: DocumentFacts) -> tuple[tuple[str, str], ...]:
    """What must be said before, or beside, anything else: subject and sentence."""
    say = language_of(facts.locale).say
    lines = [("synthetic-data", say(SYNTHETIC_NOTICE))] if facts.synthetic else []
    if facts.request.regime is Regime.HIPAA or any(
        finding.rule_id.startswith("HIPAA") for finding in facts.findings
    ):
        lines.append(("hipaa", say(HIPAA_BANNER)))
    return tuple(lines)


def whose(facts: DocumentFacts) -> str:
    """``the patient's`` or ``the 5 patients'``."""
    language = language_of(facts.locale)
    return language.count("the patient's", "the {count} patients'", facts.request.subjects)


def _certified(facts: DocumentFacts, language: Language) -> tuple[str, ...]:
    if facts.conclusion is None or facts.plan is None:
        return ()
    if facts.conclusion.basis is Basis.EXACT:
        lines = [
            language.say(
                "Exact means: the model now in service was trained again without {whose} images, "
                "and the training, replayed, gave the same weights bit for bit.",
                whose=whose(facts),
            )
        ]
        if facts.conclusion.decision.verdict is not Verdict.PASSED:
            lines.append(
                language.say(
                    "The statistical audit of the same model could not decide by itself; that "
                    "verdict is printed below as it is."
                )
            )
        return tuple(lines)
    return (
        language.say(
            "Up to {margin} of the influence of having been trained on cannot be excluded. No "
            "residual influence above that was detected.",
            margin=percent(facts.plan.margin, language),
        ),
        _declared_power(facts.plan, language),
    )


def _nothing(facts: DocumentFacts, language: Language) -> tuple[str, ...]:
    say, model = language.say, facts.model
    if facts.request.earlier:
        return (
            say(
                "None of {whose} images is left among those that {model}, version {version}, is "
                "trained on. There is nothing more for this model to unlearn.",
                whose=whose(facts),
                model=model.name,
                version=model.before.version,
            ),
        )
    return (
        say(
            "None of {whose} images trained {model}, version {version}. There is nothing for this "
            "model to unlearn.",
            whose=whose(facts),
            model=model.name,
            version=model.before.version,
        ),
        say(
            "This is a finding on the record of what the model was trained on, not a measurement "
            "on the model itself."
        ),
    )


def _also(facts: DocumentFacts, language: Language) -> tuple[str, ...]:
    """What else is known of the subjects of a settled request."""
    lines = []
    if facts.request.earlier:
        lines.append(
            language.say(
                "The request, or part of it, was settled before; what can be said of that stands "
                "in the document of case {cases}.",
                cases=", ".join(facts.request.earlier),
            )
        )
    if held_out := facts.request.held_out_images:
        lines.append(
            language.say(
                "The data set also holds {number} of {whose} images that no training of this model "
                "saw: they were set apart to choose settings by, or to test on. From now on they "
                "are used for neither. Removing them from the data set is the controller's to do.",
                number=held_out,
                whose=whose(facts),
            )
        )
    return tuple(lines)


def _starts_from(facts: DocumentFacts, language: Language) -> tuple[str, ...]:
    start, say = facts.model.start, language.say
    if start is None:
        return ()
    lines = [
        say(_STARTS_FROM, name=start.name, digest=start.weights.value[:16]),
        say(_MADE_OF[start.made_of], day=start.declared),
        *([say(_DECLARED_NO_MORE)] if start.withdrawn else []),
        say(_MERELY_DECLARED),
    ]
    return (" ".join(lines),)


def _audited_before(facts: DocumentFacts, language: Language) -> tuple[str, ...]:
    """Looks that were taken already: who looks often enough finds a margin that suits."""
    return tuple(
        language.say(
            _AUDITED_BEFORE if item.audited else _PLANNED_BEFORE,
            case=item.case,
            margin=percent(item.margin, language),
            plan=item.plan.value[:16],
        )
        for item in facts.request.audited_before
    )


def _obstructed(facts: DocumentFacts, language: Language) -> tuple[str, ...]:
    none = language.say("No certificate is issued, and no method was run.")
    obstacle = language.say(_OBSTACLES[facts.request.obstacle], whose=whose(facts))
    return (
        f"{none} {obstacle}",
        language.say(
            "The duty to erase is not settled by that. What is left to the controller is to take "
            "the model out of service and destroy it, or to train another one from the start on "
            "other data."
        ),
    )


def _not_erased(facts: DocumentFacts, language: Language) -> tuple[str, ...]:
    if facts.request.obstacle is not Obstacle.NONE:
        return _obstructed(facts, language)
    failed = facts.conclusion is not None and facts.conclusion.decision.verdict is Verdict.FAILED
    end = (
        language.say("failed the audit")
        if failed
        else language.say("could not be shown to be within the margin")
    )
    return (
        language.say(
            "No certificate is issued. Unlearning of {whose} images was attempted and {end}. Every "
            "attempt is listed.",
            whose=whose(facts),
            end=end,
        ),
        language.say(
            "The request remains open to a further attempt, such as training the model again from "
            "the start."
        ),
    )


def _declared_power(plan: PlanFacts, language: Language) -> str:
    return language.say(
        "Declared before the run: an untouched model would be found out with probability {detect}, "
        "and a model trained again without the images would pass with probability {retrain}.",
        detect=language.decimals(power_text(plan.power.detect_untouched, 2)),
        retrain=language.decimals(power_text(plan.power.pass_retrain, 2)),
    )
