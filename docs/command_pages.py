"""Renders the help of every command as Markdown, straight from its parser, so that it cannot drift."""

import argparse
import html
import re
from collections.abc import Iterator

WIDTH = 84
"""Columns of a usage line."""

COMMON = ("help", "quiet", "verbose", "max_voxels")
"""What every command takes: said once."""


def all_commands(parser: argparse.ArgumentParser) -> str:
    """What all take, then a chapter for every command, in the order of ``seqdropout --help``."""
    first, _ = next(_commands(parser))
    options = [action for action in first._actions if action.dest in COMMON]
    return "\n".join(["## All commands\n", *_table(options), *_chapters(parser, 2)])


def _chapters(parser: argparse.ArgumentParser, level: int) -> Iterator[str]:
    for command, does in _commands(parser):
        yield f"{'#' * level} {command.prog}\n\n{_sentence(does)}\n"
        yield from _page(command)
        yield from _chapters(command, level + 1)


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[argparse.ArgumentParser, str]]:
    """Parser and one line of help of every command below this one."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            yield from ((command, helps.get(name, "")) for name, command in action.choices.items())


def _page(command: argparse.ArgumentParser) -> Iterator[str]:
    usage = "\n\n".join([_usage(command), *([command.epilog] if command.epilog else [])])
    yield f"```text\n{usage}\n```\n"
    for group in command._action_groups:
        if actions := [action for action in group._group_actions if _is_shown(action)]:
            title = _plain(group.title or "")
            yield f"**{title[:1].upper()}{title[1:]}**\n"
            if group.description:
                yield f"{_plain(group.description)}\n"
            yield from _table(actions)


def _is_shown(action: argparse.Action) -> bool:
    hidden = action.help is argparse.SUPPRESS or action.dest in COMMON
    return not hidden and not isinstance(action, argparse._SubParsersAction)


def _table(actions: list[argparse.Action]) -> Iterator[str]:
    yield "| argument | meaning |\n|---|---|"
    for action in actions:
        yield f"| {_names(action)} | {_sentence(_plain(_help(action)))} |"
    yield ""


def _usage(command: argparse.ArgumentParser) -> str:
    """As printed, in lines of one width whatever the terminal."""
    formatter = argparse.HelpFormatter(prog=command.prog, width=WIDTH)
    formatter.add_usage(command.usage, command._actions, command._mutually_exclusive_groups)
    return formatter.format_help().strip().removeprefix("usage: ")


def _names(action: argparse.Action) -> str:
    """``-o DIR``, ``--name N``: as the help prints them, each in backticks."""
    words = argparse.HelpFormatter(prog="")._format_action_invocation(action).split(", ")
    return ", ".join(f"`{word.replace('|', chr(92) + '|')}`" for word in words)


def _help(action: argparse.Action) -> str:
    """The text of the help with its placeholders filled in."""
    return argparse.HelpFormatter(prog="")._expand_help(action) if action.help else ""


def _plain(text: str) -> str:
    """Text that Markdown leaves as it is: no HTML, no emphasis, no cell."""
    return re.sub(r"([|*_`])", r"\\\1", html.escape(text, quote=False))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith(".") or not text else ".")
