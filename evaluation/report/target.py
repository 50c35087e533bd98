"""Names what an evaluation was of, from the settings in its summary."""

from collections.abc import Mapping
from typing import Any

from dataset_conversion.plurals import plural


def target_name(settings: Mapping[str, Any]) -> str:
    """``metastasis``; ``label 1`` where nobody named it, as in an evaluation by an earlier version."""
    return str(settings.get("target_name") or numbered(settings))


def target_in_full(settings: Mapping[str, Any]) -> str:
    """``metastasis (label 1)``."""
    name, numbers = target_name(settings), numbered(settings)
    return name if name == numbers or not numbers else f"{name} ({numbers})"


def numbered(settings: Mapping[str, Any]) -> str:
    """``label 1`` or ``labels 1, 3``; empty where the settings do not say."""
    values = str(settings.get("target") or "").split(",")
    if values == [""]:
        return ""
    return f"{plural(len(values), 'label')} {', '.join(values)}"
