"""Every error a user can meet, as one tree.

    AuditorError                     1  something in the way; the message says what to do
    |-- MisuseError                  2  the request itself makes no sense
    |-- HomeError                    1  no home folder, or one that can't be read or written
    |-- DataError                    1  a data manifest or image is bad (names file and row)
    |-- ModelError                   1  a model, recipe or weights file is bad
    |   |-- UnsafeWeightsError       1  the file would need unpickling
    |   `-- EngineMissingError       1  torch is absent, or doesn't match torchvision
    |-- UnlearningError              1  a method refused or failed to produce a model
    |-- EvidenceError                1  the laboratory was handed something it can't measure
    |   `-- UnauditableError         1  a model's own answers are what can't be measured
    |-- PolicyError                  1  a rule pack is bad
    |-- LedgerError                  1  the book refused
    |   |-- ConcurrencyError         1  somebody else wrote to the stream first
    |   `-- TamperedError            5  stored bytes don't match their digests or the checkpoint
    |-- ProofError                   1  a note, envelope, signature or Merkle proof doesn't hold
    |   `-- UnknownAuthorityError    1  a time stamp is of an authority that isn't trusted here
    `-- CertificateError             1  the notary can't issue
        `-- InvalidCertificateError  3  a certificate was checked and found invalid

The number is the exit code of the command line (DESIGN section 3). Messages name files and rows,
never patients.
"""

from __future__ import annotations


class AuditorError(Exception):
    """Root of the tree; `str(error)` is one line fit for a terminal."""

    exit_code = 1


class MisuseError(AuditorError):
    """The caller asked for something that makes no sense."""

    exit_code = 2


class HomeError(AuditorError):
    """The home folder is absent, incomplete or not writable."""


class DataError(AuditorError):
    """A data manifest, or an image it names, can't be used."""


class ModelError(AuditorError):
    """A model, recipe or weights file can't be used."""


class UnsafeWeightsError(ModelError):
    """A checkpoint holds more than tensors and would need unpickling."""


class EngineMissingError(ModelError):
    """The `engine` extra isn't installed, or torch and torchvision don't match."""


class UnlearningError(AuditorError):
    """An unlearning method refused its input or produced no usable model."""


class EvidenceError(AuditorError):
    """Scores, references or plan don't allow a measurement."""


class UnauditableError(EvidenceError):
    """What a model answers is no number, or the same for all: by no plan can it be measured."""


class PolicyError(AuditorError):
    """A rule pack can't be loaded or evaluated."""


class LedgerError(AuditorError):
    """The ledger refused an operation."""


class ConcurrencyError(LedgerError):
    """The stream isn't at the version the writer expected."""


class TamperedError(LedgerError):
    """Stored bytes don't match what was committed."""

    exit_code = 5


class ProofError(AuditorError):
    """A signature, note, envelope or Merkle proof doesn't hold."""


class UnknownAuthorityError(ProofError):
    """A time stamp leads to none of the given roots; under another it may hold."""


class CertificateError(AuditorError):
    """A certificate or record can't be made."""


class InvalidCertificateError(CertificateError):
    """A certificate was checked and found invalid."""

    exit_code = 3
