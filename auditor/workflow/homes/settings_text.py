"""The text of `auditor.toml`: every setting with a word on it; `config` fills in the values."""

from __future__ import annotations

SETTINGS_TEXT = """\
# Settings of this auditor home. Unknown keys are errors.

[controller]
name = {controller}
dpo = {dpo}
# ISO 3166-1 code of the country whose public holidays move legal deadlines; "" for weekends only.
country = {country}
# IANA name of the time zone whose days count, such as Europe/Berlin.
time_zone = {time_zone}

[ledger]
# Address of the ledger's database; "" for a SQLite file in this home. On PostgreSQL name the
# application's role, and keep its password out of here (a .pgpass file, or PGPASSWORD).
database = {database}
# RFC 3161 time-stamping authority that `auditor ledger checkpoint` asks, and the file of root
# certificates its stamps must lead to (PEM, relative to this home); "" for none. Roots of an
# authority of before stay in that file, or its stamps can't be checked.
timestamps = {timestamps}
timestamp_roots = {timestamp_roots}

[vault]
# PKCS#11 library, token label and key label of the key that payloads of the vault lie under; all ""
# for a key in a file of this home. The PIN is read from $AUDITOR_PKCS11_PIN. After a change, run:
# auditor keys rotate vault
pkcs11_module = {pkcs11_module}
pkcs11_token = {pkcs11_token}
pkcs11_key = {pkcs11_key}

[models]
# Networks of your own, as "module:factory". They are code, run with the rights of whoever runs
# auditor: list only what you trust. A recipe that names any other is refused.
factories = {factories}
# Steps between the checkpoints that a training keeps, so that it can be gone back to; 0 for none.
# Each takes about three times the space of the model's weights.
checkpoint_spacing = {checkpoint_spacing}

[audit]
# Share of a patient's influence that can't be excluded after PASSED; at most 0.5.
margin = {margin}
# Below this power an approximate method isn't tried; the next basis is taken at once.
required_power = {required_power}
# Reference models trained without and with the patient.
out_models = {out_models}
in_models = {in_models}

[references]
# Days that reference models which serve several requests are kept (`auditor bank`); 0 for the end
# of the quarter after the one they were planned in.
bank_days = {bank_days}
# Whether those that an erased patient's images had trained stay until then, listed in the
# certificate as retained. Without it they are destroyed with the case.
keep_erased = {keep_erased}

[desk]
# Whether nothing is decided but by a key of the desk (auditor keys new FILE, then auditor keys add
# FILE.pub --role desk). Once it has one, that is so in any case.
signed = {desk_signed}
# Whether two people, each with a key of their own, have to agree before a request is granted or
# refused. Add the public key of each with: auditor keys add --role desk
four_eyes = {desk_four_eyes}

[letters]
# What stands on letters, line by line, as in ["Am Alten Park 3", "04177 Leipzig"]: the controller's
# address; how the data protection officer is reached; the authority that complaints go to.
address = {letter_address}
contact = {letter_contact}
authority = {letter_authority}

[certificates]
# Language of certificates and records: "en", "de", "fr" or "es".
locale = {locale}
# Whether an approver, with a key of their own, has to sign each document before it is issued. Add
# the approver's public key with: auditor keys add --role approval
four_eyes = {four_eyes}
# Days for which a signed status ("not withdrawn") counts as fresh; at most 92.
status_days = {status_days}
# Command that asks whatever serves the model which weights it serves, before a certificate is
# signed: with the model's name and a challenge as its last two arguments it prints what `auditor
# model answer` printed there. [] for none. Add its keys with: auditor keys add --role serving
challenge = {challenge}

[seal]
# PAdES level of the PDF seal: "B-B", or "B-T", "B-LT", "B-LTA", which are time-stamped by the
# authority of [ledger] timestamps. After a change in this table run: auditor keys seal
level = {seal_level}
# Root certificates that the seal in keys/seal.pem leads to, and, from "B-LT" on, the lists of
# revoked certificates (CRL) of every authority of seal and stamps. PEM files, relative to this
# home, for you to keep up to date; "" for what the home was made with, and for none.
roots = {seal_roots}
revoked = {seal_revoked}
# PKCS#11 library, token label and key label of the seal's key, where keys/seal.pem holds its
# certificates only; all "" for a key in that file. The PIN is read from $AUDITOR_PKCS11_PIN.
pkcs11_module = {seal_pkcs11_module}
pkcs11_token = {seal_pkcs11_token}
pkcs11_key = {seal_pkcs11_key}

[unlearning]
# Approximate methods that a case may try before it trains again; see the table in docs/routing.md.
methods = {methods}
# How strongly a patient may be memorised for a single step to be tried: standard deviations by
# which the score of their images rises from models trained without them to models trained with.
tail = {tail}
# What may come between two exact trainings of a model: approximate erasures, and the sum of what
# they left, each patient's whole influence counted as 1.
most_steps = {most_steps}
most_residual = {most_residual}

[policies]
# Folders of rule packs of your own, relative to this home; `auditor policy check` reads one. New
# requests are laid beside them and the shipped packs of their regime.
packs = {packs}
"""
