"""Derives pseudonyms from patient ids with a keyed hash, which cannot be repeated without the key.

Only with the key and a list of patients can pseudonyms be traced to patients. Store the key apart from the data set,
and use one key for all data of a study, so that each patient has one pseudonym.
"""

import hmac
import logging
import secrets
from hashlib import sha256
from pathlib import Path

from dataset_conversion.faults import Fault
from dataset_conversion.files.staging import staged
from dataset_conversion.plurals import n_of

log = logging.getLogger(__name__)

SHORTEST_KEY = 16


def pseudonym(patient_id: str, key: bytes) -> str:
    """``P_`` and ten hexadecimal digits: among 1000 patients two share a name once in two million studies."""
    return f"P_{hmac.new(key, patient_id.encode(), sha256).hexdigest()[:10]}"


def read_or_make_key(file: Path, *, away_from: Path) -> bytes:
    """The key in ``file``, which is made, for its owner only to read, where it is not there yet.

    Raises Fault where it lies inside the data set ``away_from`` or is shorter than 16 characters.
    """
    if file.resolve().is_relative_to(away_from.resolve()):
        raise Fault(f"the key lies in the data set {away_from}", file=file, remedy="Store it in another folder.")
    if not file.exists():
        with staged(file.parent) as stage:
            made = stage / file.name
            made.touch(mode=0o600)
            made.write_text(secrets.token_hex(32) + "\n", encoding="ascii")
        log.warning("%s is the new key of the pseudonyms: keep it safe and secret", file)
    return read_key(file)


def read_key(file: Path) -> bytes:
    """Raises Fault where it is shorter than 16 characters."""
    key = file.read_bytes().strip()
    if len(key) < SHORTEST_KEY:
        remedy = "Give a file that does not exist yet: a random key is written to it."
        raise Fault(f"the key has only {n_of(len(key), 'character')} and can be guessed", file=file, remedy=remedy)
    return key
