"""What the gateway knows of its epoch keys; the keys are in the key provider."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import bindparam, select

from gateway.errors import InvariantBroken
from gateway.keys.ports import Epoch
from gateway.storage.codes import (
    EPOCH_STATES,
    read_optional_time,
    read_time,
    store_optional_time,
    store_time,
)
from gateway.storage.database import Connection
from gateway.storage.log_rows import Scope
from gateway.storage.statements import sql, upsert
from gateway.storage.tables import epochs
from gateway.words.identifiers import GATEWAY

_COLUMNS: Final = (
    epochs.c.epoch,
    epochs.c.state,
    epochs.c.made_at,
    epochs.c.due_at,
    epochs.c.destroyed_at,
    epochs.c.moved,
    epochs.c.instance,
    epochs.c.lease_until,
)
_SELECT: Final = sql(select(*_COLUMNS).order_by(epochs.c.epoch_number.desc()))
_row: Final = upsert(epochs).values(
    {column: bindparam(column.name) for column in _COLUMNS}
)
_PUT: Final = sql(
    _row.on_conflict_do_update(
        index_elements=[epochs.c.epoch],
        set_={
            column.name: _row.excluded[column.name]
            for column in _COLUMNS
            if column is not epochs.c.epoch
        },
    )
)


class SqlEpochStore:
    """See gateway.keys.ports.EpochStore. A unit of a merchant cannot even ask (I9)."""

    def __init__(self, connection: Connection, scope: Scope) -> None:
        self._connection = connection
        self._scope = scope

    def all(self) -> Sequence[Epoch]:
        """See EpochStore.all.

        Raises:
            InvariantBroken: The unit is not of the gateway's scope.
        """
        self._check_scope()
        return [
            Epoch(
                epoch=epoch,
                state=EPOCH_STATES.word(state),
                made_at=read_time(made_at),
                due_at=read_optional_time(due_at),
                destroyed_at=read_optional_time(destroyed_at),
                moved=moved,
                instance=instance,
                lease_until=read_optional_time(lease_until),
            )
            for (
                epoch,
                state,
                made_at,
                due_at,
                destroyed_at,
                moved,
                instance,
                lease_until,
            ) in self._connection.execute(_SELECT)
        ]

    def put(self, epoch: Epoch) -> None:
        """See EpochStore.put.

        Raises:
            InvariantBroken: The unit is not of the gateway's scope.
        """
        self._check_scope()
        self._connection.execute(
            _PUT,
            {
                "epoch": epoch.epoch,
                "state": EPOCH_STATES.code(epoch.state),
                "made_at": store_time(epoch.made_at),
                "due_at": store_optional_time(epoch.due_at),
                "destroyed_at": store_optional_time(epoch.destroyed_at),
                "moved": epoch.moved,
                "instance": epoch.instance,
                "lease_until": store_optional_time(epoch.lease_until),
            },
        )

    def _check_scope(self) -> None:
        if self._scope.merchant != GATEWAY:
            raise InvariantBroken
