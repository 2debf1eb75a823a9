"""What a witness remembers: for each log the checkpoint it cosigned last, one row an origin."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import BigInteger, Integer, MetaData
from sqlmodel import Field, SQLModel

from auditor.errors import LedgerError, ProofError, TamperedError
from auditor.ledger.database import open_database, reading, writing
from auditor.proof.checkpoint import parse_checkpoint
from auditor.proof.log_policy import CLOCK_TOLERANCE
from auditor.proof.witnessing import Judged

_Count = BigInteger().with_variant(Integer(), "sqlite")


class _Table(SQLModel):
    metadata = MetaData()  # a witness's database is its own: the ledger's migrations don't know it


class CosignedRow(_Table, table=True):
    """The newest cosigned checkpoint of a log: its note as it came, and when it was cosigned."""

    __tablename__ = "cosigned"

    origin: str = Field(primary_key=True)
    note: str
    moment: int = Field(sa_type=_Count)


class WitnessBook:
    """The record, which is advanced before a cosignature leaves the house."""

    def __init__(self, url: str) -> None:
        """Address the database; connections are made when first needed."""
        self._engine = open_database(url)

    def create(self) -> None:
        """Make the table, once in a witness's life.

        Never when the record is merely used: an emptied file would pass for that of a witness
        which has cosigned nothing yet, and the next fork would be cosigned.
        """
        with writing(self._engine) as session:
            _Table.metadata.create_all(session.connection())

    def latest(self, origin: str) -> str | None:
        """The note of the checkpoint that was cosigned last."""
        with reading(self._engine) as session:
            row = session.get(CosignedRow, origin)
            return None if row is None else row.note

    def advance(
        self, note: str, now: int, decide: Callable[[str | None], Judged]
    ) -> tuple[Judged, int]:
        """Decide on a checkpoint and, where it is to be cosigned, put it on record: one step.

        The write lock is held from before the record is read until it is written, so that of two
        requests the slower can't roll back what the faster put on record (tlog-witness).

        Args:
            note: the checkpoint's, parsed already.
            now: POSIX time.
            decide: told the note that was cosigned last for this one's origin.

        Returns:
            The decision, and the time to cosign with: never before that of the last cosignature.

        Raises:
            TamperedError: the record is damaged.
            LedgerError: it can't be read or written, or is dated ahead of ``now`` by so much that
                nobody would take the cosignature.
        """
        origin = parse_checkpoint(note).origin
        with writing(self._engine) as session:
            row = session.get(CosignedRow, origin)
            judged = decide(None if row is None else _note(row))
            moment = max(now, 0 if row is None else row.moment)
            if judged.checkpoint is not None:
                if moment > now + CLOCK_TOLERANCE:
                    raise LedgerError(
                        "the record of this log is dated ahead of this clock; set the clock right, "
                        "or if it is right and was ahead before, make a new witness"
                    )
                session.merge(CosignedRow(origin=origin, note=note, moment=moment))
        return judged, moment

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()


def _note(row: CosignedRow) -> str:
    # SQLite keeps what type it likes in a column
    typed = isinstance(row.note, str) and isinstance(row.moment, int)
    try:
        if typed and parse_checkpoint(row.note).origin == row.origin:
            return row.note
    except ProofError:
        pass
    raise TamperedError("the witness's record of a log was changed")
