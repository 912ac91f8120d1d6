"""Secret addresses at which programs that cannot sign in read a department as one account may read it."""

import hmac
import secrets

from domain import Feed
from errors import DepartmentNotFound, FeedNotFound, NotAllowed
from models import DynamoDBDatabase
from people import Role, Scope
from services.accounts.access import Access, Principal

SECRET_BYTES = 24


class FeedService:
    """The feeds of one store."""

    def __init__(self, db: DynamoDBDatabase, access: Access) -> None:
        self._db = db
        self._access = access

    def get_secret(self, principal: Principal, department_id: str) -> str:
        """Return the secret of the account's feed of a department.

        Raises `FeedNotFound` before the first, `NotAllowed` for a device token that only reads: an address
        would outlive it.
        """
        _refuse_reading_token(principal)
        feed = self._db.find_feed(Feed.id_of(department_id, principal.account_id))
        if feed is None:
            raise FeedNotFound()
        return str(feed)

    def renew_secret(self, principal: Principal, department_id: str) -> str:
        """Make the account's feed of a department, or give it another secret: the one before ends at once.

        Raises `NotAllowed` as `get_secret` does.
        """
        _refuse_reading_token(principal)
        feed = Feed(department_id, principal.account_id, secrets.token_hex(SECRET_BYTES))
        self._db.put_feed(feed)
        return str(feed)

    def find_department_id(self, secret: str) -> str:
        """Return the id of the department that a secret opens.

        Raises `FeedNotFound` for a secret that is not or no longer valid, and when the account may not read
        the department any more.
        """
        feed_id, _, shown = secret.partition("-")
        feed = self._db.find_feed(feed_id) if Feed.may_be_id(feed_id) else None
        if feed is None or not hmac.compare_digest(feed.secret.encode(), shown.encode()):
            raise FeedNotFound()
        try:
            self._access.require(Principal(feed.account_id), feed.department_id, Role.READER)
        except DepartmentNotFound as error:
            raise FeedNotFound() from error
        return feed.department_id


def _refuse_reading_token(principal: Principal) -> None:
    if principal.scope is not Scope.WRITE:
        raise NotAllowed()
