"""Adoption: writes the missing head and name row of departments from an older server or another tool."""

import logging
from collections.abc import Sequence

from domain import Department
from store import rows
from store.actions import ActionBuilder
from store.dynamo_client import DynamoClient, TransactionRefused
from store.entities import Entities
from store.epochs import new_epoch
from store.tables import TableNames

log = logging.getLogger(__name__)


class Adoption:
    """The adoption of departments in one store."""

    def __init__(self, client: DynamoClient, names: TableNames, entities: Entities) -> None:
        self._client = client
        self._table = names.changes
        self._entities = entities
        self._builder = ActionBuilder(names)

    def adopt(self, departments: Sequence[Department]) -> int:
        """Adopt those of these departments that have no head; return how many were adopted."""
        keys = [rows.head_key(department.id) for department in departments]
        adopted = {rows.partition_of(head) for head in self._client.batch_get(self._table, keys)}
        without_head = [department for department in departments if department.id not in adopted]
        return sum(map(self._adopt, without_head))

    def _adopt(self, department: Department) -> bool:
        """Write the row of a department's name, then its head; return whether the head was written.

        A department with a head counts as adopted, so the head is written last: after a crash in between, the
        next adoption does both steps again. For a department that was deleted meanwhile nothing is written.
        """
        current: Department | None = department
        while current and not self._claim_name(current):
            current = self._entities.find_department(department.id)
        if current is None:
            return False
        head = self._builder.new_head(department.id, new_epoch())
        requests = [self._builder.require_department(department.id), head.request]
        try:
            self._client.call("transact_write_items", TransactItems=requests)
        except TransactionRefused:
            log.info("%s: 이미 있거나 부서가 삭제되어 쓰지 않았습니다.", head.key)
            return False
        return True

    def _claim_name(self, department: Department) -> bool:
        """Write the row of a department's name, unless another department has the name.

        Returns False when the department was edited or deleted since it was read; nothing is written then.
        """
        unchanged = self._builder.require_unchanged(department)
        claim = self._builder.claim_name(department)
        try:
            self._client.call("transact_write_items", TransactItems=[unchanged, claim.request])
        except TransactionRefused as error:
            return not error.failed[0]
        return True
