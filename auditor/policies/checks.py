"""The closed vocabulary: each name a rule may require, and the function that looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from auditor.policies import checks_desk as desk
from auditor.policies import checks_erasure as erasure
from auditor.policies import checks_record as record
from auditor.policies.observation import Observation, Papers
from auditor.policies.rule import Check

CHECKS: Mapping[Check, Callable[[Papers], Observation]] = {
    Check.REQUEST_GRANTED: desk.request_granted,
    Check.GROUND_OF_REGIME: desk.ground_of_regime,
    Check.ANSWERED_IN_TIME: desk.answered_in_time,
    Check.REFUSED_IN_TIME: desk.refused_in_time,
    Check.EXTENDED_IN_TIME: desk.extended_in_time,
    Check.KEPT_UNTIL: desk.kept_until,
    Check.AFFECTED_ACCOUNTED: erasure.affected_accounted,
    Check.DERIVED_ACCOUNTED: erasure.derived_accounted,
    Check.AFFECTED_OUT_OF_SERVICE: erasure.affected_out_of_service,
    Check.ERASURE_ESTABLISHED: erasure.erasure_established,
    Check.RETAINED_LISTED: erasure.retained_listed,
    Check.SOURCE_RECORDS_KEPT: erasure.source_records_kept,
    Check.CONCLUDED: record.concluded,
    Check.PRE_REGISTERED: record.pre_registered,
    Check.DIGESTS_AGREE: record.digests_agree,
    Check.STREAM_UNBROKEN: record.stream_unbroken,
    Check.RULES_PINNED: record.rules_pinned,
    Check.CASE_ID_OPAQUE: record.case_id_opaque,
}
