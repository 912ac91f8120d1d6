"""What people do with their own account: look, change the name or the password."""

from errors import NotAllowed, NotSignedIn, SignInFailed
from models import DynamoDBDatabase
from people import Account, AccountsWrite, Password
from services.accounts import passwords
from services.accounts.access import Principal
from services.accounts.administration import AccountFields, Administration
from services.accounts.edits import edit
from services.accounts.joining import password_write
from services.accounts.sessions import end_surplus
from services.accounts.view import AccountsView
from services.group_commit import GroupCommit


class OwnAccount:
    """The accounts of one store, each as its owner sees it."""

    def __init__(
        self,
        db: DynamoDBDatabase,
        group_commit: GroupCommit,
        view: AccountsView,
        administration: Administration,
    ) -> None:
        self._db = db
        self._group_commit = group_commit
        self._view = view
        self._administration = administration

    def get(self, principal: Principal) -> Account:
        """Return the caller's account. Raises `NotSignedIn` when it is gone."""
        account = self._view.current().find(Account, principal.account_id)
        if account is None:
            raise NotSignedIn()
        return account

    def change(self, principal: Principal, name: str, password: str, current_password: str) -> Account:
        """Change the name, the password or both; what is empty stays.

        A new password ends all other sessions and all device tokens. Raises `SignInFailed` when
        `current_password` is wrong, `NotAllowed` for an account without one: its provider signs it in.
        """
        if password:
            kept = self._db.find_record(Password.kind, principal.account_id)
            if not isinstance(kept, Password):
                raise NotAllowed()
            if not passwords.is_password(current_password, kept.hash, principal.account_id):
                raise SignInFailed()
            self._set_password(principal, password, kept)
        if name:
            self._administration.change(principal, principal.account_id, AccountFields(name=name))
        return self.get(principal)

    def _set_password(self, principal: Principal, password: str, proof: Password) -> None:
        """Raises `SignInFailed` if the password that was shown is the account's no more."""
        end_surplus(
            self._group_commit, self._view, principal.actor, principal.account_id, principal.session_id
        )
        hashed = passwords.hash_password(password, principal.account_id)

        def prepare() -> AccountsWrite:
            before = self._db.find_record(Password.kind, principal.account_id)
            if before != proof:
                raise SignInFailed()
            people = self._view.latest()
            return password_write(people, principal.account_id, hashed, before, keep=principal.session_id)

        edit(self._group_commit, principal.actor, prepare)
