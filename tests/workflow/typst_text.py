"""What a reader sees of typst markup: its words, without code, formulas, labels and references."""

import re

KEYWORDS = ("let", "set", "show", "import")
NAME = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*")
CLOSING = {"(": ")", "{": "}", "[": "]"}


class Markup:
    """Reads markup once; `words` and `formulas` are what it found."""

    def __init__(self, source):
        self.source, self.place = re.sub(r"(?m)(?<!:)//.*$", "", source), 0
        self.words, self.formulas = [], []
        while self.place < len(self.source):
            self.text()

    def peek(self, length=1):
        return self.source[self.place : self.place + length]

    def text(self):
        """Markup until a closing bracket of the content that it stands in."""
        while self.place < len(self.source):
            sign = self.peek()
            if sign == "]":
                self.place += 1
                return
            if sign == "#":
                self.place += 1
                self.code()
            elif sign == "$":
                end = self.source.index("$", self.place + 1)
                self.formulas.append(self.source[self.place + 1 : end])
                self.place = end + 1
            elif sign == "`":
                self.place = self.source.index("`", self.place + 1) + 1
            elif skipped := re.compile(r"@[\w-]+|<[\w-]+>|\\.").match(self.source, self.place):
                self.place = skipped.end()
            elif sign == "[":
                self.place += 1
                self.text()
            else:
                self.words.append(sign)
                self.place += 1

    def code(self):
        """What follows a `#`: a statement to its end, or an expression with its arguments and contents."""
        name = NAME.match(self.source, self.place)
        if name and name[0] in KEYWORDS:
            self.place = name.end()
            self.statement()
            return
        if name and name[0] in ("if", "for", "while"):
            self.place = name.end()
            self.branches()
            return
        self.place = name.end() if name else self.place
        while self.peek() in CLOSING or re.compile(r"\.[A-Za-z]").match(self.source, self.place):
            if self.peek() == ".":
                self.place = NAME.match(self.source, self.place + 1).end()
            else:
                self.group()

    def group(self):
        """One group in brackets: content is text, all else code."""
        opening = self.peek()
        self.place += 1
        if opening == "[":
            self.text()
            return
        while self.peek() != CLOSING[opening]:
            self.step()
        self.place += 1

    def step(self):
        """One step through code."""
        if self.peek() in CLOSING:
            self.group()
        elif self.peek() in ('"', "$"):
            self.place = self.source.index(self.peek(), self.place + 1) + 1
        else:
            self.place += 1

    def statement(self):
        while self.place < len(self.source) and self.peek() != "\n":
            self.step()

    def branches(self):
        """The condition, its block, and what comes `else`."""
        while True:
            while self.peek() not in "[{":
                self.step()
            self.group()
            other = re.compile(r"\s*else\b").match(self.source, self.place)
            if not other:
                return
            self.place = other.end()


def words(source):
    """The text that is written, a space for everything left out of it not being needed."""
    return "".join(Markup(source).words)
