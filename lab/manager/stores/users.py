"""Who may log in: the system administrator, by password or by token."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field


@dataclass
class User:
    """One account; of the password only a salted hash is kept."""

    username: str
    role: str
    salt: str
    password_hash: str
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @classmethod
    def create(cls, username: str, password: str, role: str = "sys_admin") -> User:
        """Make an account with a password."""
        salt = secrets.token_hex(8)
        return cls(username, role, salt, _hash(salt, password))

    def accepts(self, password: str) -> bool:
        """Whether this is the account's password."""
        return hmac.compare_digest(self.password_hash, _hash(self.salt, password))


def _hash(salt: str, password: str) -> str:
    return hashlib.sha256(f"{salt}:{password}".encode()).hexdigest()


@dataclass
class Token:
    """A token somebody made (generation 5); the whole value is shown once, when it is made."""

    username: str
    id: str = field(default_factory=lambda: secrets.token_hex(5))
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)
    description: str | None = None
    last_used: float | None = None

    @property
    def value(self) -> str:
        """What goes into the header."""
        return f"ctok-{self.id}-{self.secret}"


@dataclass
class Users:
    """Every account of a manager."""

    accounts: dict[str, User] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)

    def add(self, user: User) -> None:
        """Add an account, or replace the one of this name."""
        self.accounts[user.username] = user

    def by_password(self, username: str, password: str) -> User | None:
        """The account that this name and password open."""
        user = self.accounts.get(username)
        return user if user is not None and user.accepts(password) else None

    def by_token(self, token: str) -> User | None:
        """The account that this token belongs to."""
        for user in self.accounts.values():
            if hmac.compare_digest(user.token.encode(), token.encode()):
                return user
        for made in self.tokens.values():
            if hmac.compare_digest(made.value.encode(), token.encode()):
                return self.accounts.get(made.username)
        return None

    def make_token(self, user: User, description: str | None) -> Token:
        """Make another token for an account."""
        token = Token(user.username, description=description)
        self.tokens[token.id] = token
        return token
