"""The closed vocabulary: each name a rule may require, and the function that looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from auditor.policies import checks_desk as desk
from auditor.policies import checks_erasure as erasure
from auditor.policies import checks_record as record
from auditor.policies import checks_subject as subject
from auditor.policies import checks_time as time
from auditor.policies.checks_file import document_filed
from auditor.policies.observation import Observation, Papers
from auditor.policies.vocabulary import Check

CHECKS: Mapping[Check, Callable[[Papers], Observation]] = {
    Check.REQUEST_GRANTED: desk.request_granted,
    Check.GROUND_OF_REGIME: desk.ground_of_regime,
    Check.REASON_STATED: desk.reason_stated,
    Check.EXEMPTION_REVIEWED: desk.exemption_reviewed,
    Check.ACTORS_AUTHENTICATED: desk.actors_authenticated,
    Check.ANSWERED_IN_TIME: time.answered_in_time,
    Check.REFUSED_IN_TIME: time.refused_in_time,
    Check.EXTENDED_IN_TIME: time.extended_in_time,
    Check.LETTER_IN_TIME: time.letter_in_time,
    Check.CLOCK_EXPLAINED: time.clock_explained,
    Check.KEPT_UNTIL: time.kept_until,
    Check.DOCUMENT_FILED: document_filed,
    Check.IDENTITY_RESOLVED: subject.identity_resolved,
    Check.RESTRICTED_WHILE_PENDING: subject.restricted_while_pending,
    Check.LIFTING_ANNOUNCED: subject.lifting_announced,
    Check.RECIPIENTS_INFORMED: subject.recipients_informed,
    Check.AFFECTED_ACCOUNTED: erasure.affected_accounted,
    Check.DERIVED_ACCOUNTED: erasure.derived_accounted,
    Check.AFFECTED_OUT_OF_SERVICE: erasure.affected_out_of_service,
    Check.ERASURE_ESTABLISHED: erasure.erasure_established,
    Check.RETAINED_LISTED: erasure.retained_listed,
    Check.SOURCE_RECORDS_KEPT: erasure.source_records_kept,
    Check.EXCLUDED_FROM_TRAINING: subject.excluded_from_training,
    Check.CONCLUDED: record.concluded,
    Check.PRE_REGISTERED: record.pre_registered,
    Check.DIGESTS_AGREE: record.digests_agree,
    Check.STREAM_UNBROKEN: record.stream_unbroken,
    Check.RULES_PINNED: record.rules_pinned,
    Check.CASE_ID_OPAQUE: record.case_id_opaque,
}
