"""SQL cut into words, so that a statement's form is read without guessing inside strings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from lakehouse.services.athena.aws_error import AwsError, invalid_request

_TOKEN = re.compile(
    r"""(?P<blank>\s+|--[^\n]*|/\*.*?\*/)
      | (?P<string>'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`)
      | (?P<word>[^\W\d][\w$@]*)
      | (?P<number>\d[\w.]*)
      | (?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    """Its ``kind``: ``string``, ``quoted``, ``word``, ``number``, ``mark``, and ``end`` at last."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def name(self) -> str:
        """The identifier that it spells, in lower case, as Athena's catalog keeps every name."""
        if self.kind == "quoted":
            quote = self.text[0]
            return self.text[1:-1].replace(quote * 2, quote).lower()
        return self.text.lower()


def tokens(sql: str) -> list[Token]:
    """All tokens but blanks and comments, and one of kind ``end``.

    Raises:
        AwsError: a string or a quoted name isn't closed.

    """
    found = []
    for match in _TOKEN.finditer(sql):
        kind = match.lastgroup or "mark"
        if kind == "mark" and match.group() in "'\"`":
            raise malformed(sql, match.start(), f"mismatched input '{match.group()}'")
        if kind != "blank":
            found.append(Token(kind, match.group(), match.start(), match.end()))
    return [*found, Token("end", "<EOF>", len(sql), len(sql))]


def malformed(sql: str, position: int, what: str) -> AwsError:
    """A syntax error as Athena words it: line and column count from one."""
    line = sql.count("\n", 0, position) + 1
    column = position - (sql.rfind("\n", 0, position) + 1) + 1
    return invalid_request(f"line {line}:{column}: {what}", "MALFORMED_QUERY")


class Reader:
    """Reads the tokens of one statement from left to right."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self._tokens = tokens(sql)
        self._at = 0

    @property
    def next(self) -> Token:
        """The token that comes next; it is not taken."""
        return self._tokens[self._at]

    @property
    def rest(self) -> str:
        """The text from the next token on."""
        return self.sql[self.next.start :]

    def take(self) -> Token:
        """The next token, whatever it is."""
        token = self.next
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def found(self, *words: str) -> bool:
        """Take these words or marks if they come next, all or none of them."""
        ahead = self._tokens[self._at : self._at + len(words)]
        if [token.text.lower() for token in ahead] != list(words) or any(
            token.kind not in ("word", "mark") for token in ahead
        ):
            return False
        self._at += len(words)
        return True

    def expect(self, *words: str) -> None:
        """Take these words.

        Raises:
            AwsError: something else comes.

        """
        for word in words:
            if not self.found(word):
                self.mismatch(f"'{word.upper()}'")

    def name(self) -> str:
        """Take an identifier, plain or quoted.

        Raises:
            AwsError: something else comes.

        """
        if self.next.kind not in ("word", "quoted"):
            self.mismatch("<identifier>")
        return self.take().name

    def string(self) -> str:
        """Take a string literal; returns what it says.

        Raises:
            AwsError: something else comes.

        """
        if self.next.kind != "string":
            self.mismatch("<string>")
        return self.take().text[1:-1].replace("''", "'")

    def group(self) -> list[str]:
        """Take a parenthesised list; returns the text of its elements, cut at its own commas.

        Raises:
            AwsError: something else comes, or it isn't closed.

        """
        if self.next.text != "(":
            self.mismatch("'('")
        self.take()
        depth, start, elements = 0, self.next.start, []
        while True:
            token = self.take()
            if token.kind == "end":
                raise malformed(self.sql, token.start, "mismatched input '<EOF>'. Expecting: ')'")
            if token.kind != "mark":
                continue
            if token.text in ")," and depth == 0:
                elements.append(self.sql[start : token.start].strip())
                start = token.end
                if token.text == ")":
                    return [element for element in elements if element]
            # Types open with < too (array<int>); no list that is read here compares values.
            depth += (token.text in "([<") - (token.text in ")]>")

    def end(self) -> None:
        """Nothing more may come.

        Raises:
            AwsError: something does.

        """
        if self.next.kind != "end":
            self.mismatch("<EOF>")

    def mismatch(self, expected: str) -> NoReturn:
        """Refuse the next token.

        Raises:
            AwsError: always.

        """
        shown = self.next.text
        raise malformed(
            self.sql,
            self.next.start,
            f"mismatched input '{shown}'. Expecting: {expected}",
        )
