"""A form as its page shows it: inputs with their texts, what is wrong at each, what can be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from ringwork.console.forms.members import Group, Member, id_of
from ringwork.console.forms.reading import Typed, members_of


class Chosen(Struct, frozen=True):
    """An option and whether it is chosen."""

    value: str
    text: str
    is_chosen: bool


class Remark(Struct, frozen=True):
    """What a check said of a member without refusing it."""

    expected: str
    found: str


class Input(Struct, frozen=True, kw_only=True):
    """One member with what stands in it."""

    id: str
    name: str
    label: str
    kind: str
    text: str
    options: list[Chosen]
    hint: str
    fault: str
    remarks: list[Remark]
    size: int
    is_needed: bool
    is_file: bool

    @property
    def told_by(self) -> str:
        """Ids of the texts that explain it, for ``aria-describedby``."""
        told = [f"{self.id}-fault"] if self.fault else []
        told += [f"{self.id}-remarks"] if self.remarks else []
        return " ".join([*told, f"{self.id}-hint"] if self.hint else told)


class Section(Struct, frozen=True, kw_only=True):
    """Inputs under one heading."""

    title: str
    lede: str
    inputs: list[Input]


class Button(Struct, frozen=True, kw_only=True):
    """One way to send the form: the name and value that say which."""

    name: str
    value: str
    text: str
    says: str = ""
    is_main: bool = False


class Wrong(Struct, frozen=True):
    """A fault in the summary, with the input it leads to."""

    href: str
    label: str
    text: str


class FormBody(Struct, frozen=True, kw_only=True):
    """The body of a form's page."""

    action: str
    sections: list[Section]
    buttons: list[Button]
    who: str
    """Who may send it."""
    cancel: str
    """Where not to send it leads."""
    wrong: list[Wrong] = []
    trouble: str = ""
    """Why it was refused as a whole."""
    good: str = ""
    """What a check that found nothing wrong says."""
    fixed: list[tuple[str, str]] = []
    """What is shown and cannot be changed."""
    kinds: list[tuple[str, str, bool]] = []
    """Other forms for the same thing: its name, its address, whether it is this one."""
    hidden: list[tuple[str, str]] = []
    has_files: bool = False


def sections(
    groups: Sequence[Group],
    typed: Typed,
    faults: Mapping[str, str],
    remarks: Mapping[str, list[Remark]] | None = None,
) -> list[Section]:
    """The groups with what was typed and what is wrong with it."""
    return [
        Section(
            title=group.title,
            lede=group.lede,
            inputs=[_input(one, typed, faults, remarks or {}) for one in group.members],
        )
        for group in groups
    ]


def summary(groups: Sequence[Group], faults: Mapping[str, str]) -> list[Wrong]:
    """What is wrong, in the order of the form, each with a link to its input."""
    return [
        Wrong(f"#{id_of(member.pointer)}", member.label, faults[member.pointer])
        for member in members_of(groups)
        if member.pointer in faults
    ]


def has_files(groups: Sequence[Group]) -> bool:
    """Whether a file may be given for one of the members."""
    return any(member.is_file for member in members_of(groups))


def _input(
    member: Member, typed: Typed, faults: Mapping[str, str], remarks: Mapping[str, list[Remark]]
) -> Input:
    texts = typed.get(member.pointer, ())
    return Input(
        id=id_of(member.pointer),
        name=member.pointer,
        label=member.label,
        kind=member.kind,
        text=texts[0] if texts else "",
        options=[Chosen(one.value, one.text, one.value in texts) for one in member.options],
        hint=member.hint,
        fault=faults.get(member.pointer, ""),
        remarks=remarks.get(member.pointer, []),
        size=member.size,
        is_needed=member.is_needed,
        is_file=member.is_file,
    )
