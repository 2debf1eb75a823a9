"""auditor: make medical-imaging models forget a patient, prove it, certify it."""

__version__ = "0.1.0"
