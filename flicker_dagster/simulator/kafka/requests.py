"""One client's conversation with the broker: each request, what it does to logs and transactions, and what is answered."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from flicker_dagster.simulator.kafka.connections import HangUp
from flicker_dagster.simulator.kafka.errors import Code
from flicker_dagster.simulator.kafka.records import Batch, batches_of
from flicker_dagster.simulator.kafka.sasl import Refused, Session
from flicker_dagster.simulator.kafka.wire import NO_TAGS, Cut, Reader, array, blob, i8, i16, i32, i64, string

if TYPE_CHECKING:
    from flicker_dagster.simulator.kafka.broker import Broker, Fault

NODE = 1

#: Key, lowest and highest version of each request. Of the compact kind are only those of InitProducerId from 2 on.
APIS = {
    "Produce": (0, 3, 8),
    "Fetch": (1, 4, 11),
    "ListOffsets": (2, 1, 3),
    "Metadata": (3, 1, 4),
    "FindCoordinator": (10, 0, 2),
    "SaslHandshake": (17, 0, 1),
    "ApiVersions": (18, 0, 2),
    "InitProducerId": (22, 0, 4),
    "AddPartitionsToTxn": (24, 0, 2),
    "EndTxn": (26, 0, 2),
    "SaslAuthenticate": (36, 0, 1),
}
_NAMES = {key: name for name, (key, _, _) in APIS.items()}
_OPEN_TO_ALL = ("ApiVersions", "SaslHandshake", "SaslAuthenticate")
_EARLIEST, _LATEST = -2, -1


def is_topic_name(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9._-]{1,249}", name) is not None


class Connection:
    """One client's connection: whether it has said who it is, and the answers."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._session: Session | None = None

    def answer(self, request: bytes) -> bytes | None:
        reader = Reader(request)
        key, version, correlation = reader.i16(), reader.i16(), reader.i32()
        name = _NAMES.get(key)
        if name is None:
            raise HangUp
        _, lowest, highest = APIS[name]
        if name == "ApiVersions" and not lowest <= version <= highest:
            return i32(correlation) + i16(Code.UNSUPPORTED_VERSION) + _versions()
        if not lowest <= version <= highest:
            raise HangUp
        reader.string()
        is_compact = name == "InitProducerId" and version >= 2
        if is_compact:
            reader.tags()
        broker = self._broker
        if broker.asks_who and name not in _OPEN_TO_ALL and not (self._session and self._session.done):
            raise HangUp
        fault = broker.take_fault(name)
        try:
            body = self._heed(name, version, reader, fault)
        except (Cut, UnicodeDecodeError):
            raise HangUp from None
        return None if body is None else i32(correlation) + (NO_TAGS if is_compact else b"") + body

    def _heed(self, name: str, version: int, reader: Reader, fault: Fault | None) -> bytes | None:
        broker = self._broker
        handle = getattr(self, f"_{name}")
        if fault is not None and fault.kind == "cut_before":
            if fault.do is not None:
                fault.do()
            raise HangUp
        with broker.lock:
            broker.requests[name] += 1
            if broker.coordinator.expire():
                broker.lock.notify_all()
            refusal = fault.code if fault is not None and fault.kind == "error" else Code.NONE
            body = handle(version, reader, refusal)
            broker.lock.notify_all()
        if fault is not None and fault.do is not None:
            fault.do()
        if fault is not None and fault.kind == "cut_after":
            raise HangUp
        return None if fault is not None and fault.kind == "silent" else body

    # -- one method per request; `refusal` is the error that a fault asks for

    def _ApiVersions(self, version: int, reader: Reader, refusal: Code) -> bytes:
        return i16(refusal) + _versions() + (i32(0) if version >= 1 else b"")

    def _SaslHandshake(self, version: int, reader: Reader, refusal: Code) -> bytes:
        mechanism = reader.string() or ""
        known = self._broker.mechanisms
        if refusal or mechanism not in known:
            return i16(refusal or Code.UNSUPPORTED_SASL_MECHANISM) + array(map(string, known))
        self._session = Session(mechanism, self._broker.users, self._broker.token_is_right)
        return i16(Code.NONE) + array(map(string, known))

    def _SaslAuthenticate(self, version: int, reader: Reader, refusal: Code) -> bytes:
        said = reader.bytes() or b""
        lifetime = i64(0) if version >= 1 else b""
        try:
            if self._session is None or refusal:
                raise Refused
            return i16(Code.NONE) + string(None) + blob(self._session.step(said)) + lifetime
        except (Refused, ValueError, KeyError, IndexError):
            words = "Authentication failed: Invalid username or password"
            return i16(refusal or Code.SASL_AUTHENTICATION_FAILED) + string(words) + blob(b"") + lifetime

    def _Metadata(self, version: int, reader: Reader, refusal: Code) -> bytes:
        broker = self._broker
        asked = reader.array(reader.string)
        names = list(broker.topics) if asked is None else [name or "" for name in asked]
        node = i32(NODE) + string(broker.listener.host) + i32(broker.listener.port) + string(None)
        cluster = string("simulated") if version >= 2 else b""
        topics = array(self._topic_metadata(name, refusal) for name in names)
        return (i32(0) if version >= 3 else b"") + array([node]) + cluster + i32(NODE) + topics

    def _topic_metadata(self, name: str, refusal: Code) -> bytes:
        topic = self._broker.topic(name)
        code = refusal
        if not code and not is_topic_name(name):
            code = Code.INVALID_TOPIC
        elif not code and topic is None:
            code = Code.UNKNOWN_TOPIC_OR_PARTITION
        elif not code and topic is not None and topic.denied:
            code = Code.TOPIC_AUTHORIZATION_FAILED
        numbers = range(0 if code or topic is None else len(topic.partitions))
        nodes = array([i32(NODE)])
        partitions = array(i16(Code.NONE) + i32(number) + i32(NODE) + nodes + nodes for number in numbers)
        return i16(code) + string(name) + i8(0) + partitions

    def _FindCoordinator(self, version: int, reader: Reader, refusal: Code) -> bytes:
        listener = self._broker.listener
        node = i32(NODE) + string(listener.host) + i32(listener.port)
        if refusal:
            node = i32(-1) + string("") + i32(-1)
        return i16(refusal) + node if version == 0 else i32(0) + i16(refusal) + string(None) + node

    def _InitProducerId(self, version: int, reader: Reader, refusal: Code) -> bytes:
        transactional_id = reader.string() if version < 2 else reader.compact_string()
        timeout_ms = reader.i32()
        own = (reader.i64(), reader.i16()) if version >= 3 else (-1, -1)
        end = NO_TAGS if version >= 2 else b""
        if refusal:
            return i32(0) + i16(refusal) + i64(-1) + i16(-1) + end
        code, producer_id, epoch = self._broker.coordinator.open(transactional_id, timeout_ms, own=own)
        return i32(0) + i16(code) + i64(producer_id) + i16(epoch) + end

    def _AddPartitionsToTxn(self, version: int, reader: Reader, refusal: Code) -> bytes:
        transactional_id, producer_id, epoch = reader.string() or "", reader.i64(), reader.i16()
        asked = reader.array(lambda: (reader.string() or "", reader.array(reader.i32) or [])) or []
        places = {(name, number) for name, numbers in asked for number in numbers}
        codes = {place: refusal or self._code_of(place) for place in places}
        if not any(codes.values()):
            code = self._broker.coordinator.add(transactional_id, producer_id, epoch, places)
            codes = dict.fromkeys(places, code)
        return i32(0) + array(
            string(name) + array(i32(number) + i16(codes[name, number]) for number in numbers)
            for name, numbers in asked
        )

    def _EndTxn(self, version: int, reader: Reader, refusal: Code) -> bytes:
        transactional_id, producer_id, epoch = reader.string() or "", reader.i64(), reader.i16()
        is_commit = bool(reader.i8())
        code = refusal or self._broker.coordinator.end(transactional_id, producer_id, epoch, is_commit=is_commit)
        return i32(0) + i16(code)

    def _Produce(self, version: int, reader: Reader, refusal: Code) -> bytes | None:
        reader.string()  # the transactional id; the batches name their producer
        acks = reader.i16()
        reader.i32()
        asked = reader.array(
            lambda: (reader.string() or "", reader.array(lambda: (reader.i32(), reader.bytes() or b"")) or [])
        )
        answers = array(
            string(name) + array(self._append((name, number), data, version, refusal) for number, data in partitions)
            for name, partitions in asked or []
        )
        return None if acks == 0 else answers + i32(0)

    def _append(self, place: tuple[str, int], data: bytes, version: int, refusal: Code) -> bytes:
        code, offset, guilty = refusal or self._code_of(place), -1, []
        if not code:
            code, offset, guilty = self._append_all(place, data)
        answer = i32(place[1]) + i16(code) + i64(offset) + i64(-1)
        if version >= 5:
            answer += i64(0)
        if version >= 8:
            answer += array(i32(index) + string("not acceptable") for index in guilty) + string(None)
        return answer

    def _append_all(self, place: tuple[str, int], data: bytes) -> tuple[Code, int, list[int]]:
        broker = self._broker
        topic = broker.topics[place[0]]
        try:
            batches = batches_of(data)
        except ValueError:
            return Code.CORRUPT_MESSAGE, -1, []
        offset = -1
        for batch in batches:
            if len(batch.data) > topic.max_message_bytes:
                return Code.MSG_SIZE_TOO_LARGE, -1, []
            guilty = self._guilty(batch)
            if guilty:
                return Code.INVALID_RECORD, -1, guilty
            if batch.is_transactional:
                code = broker.coordinator.may_write(batch.producer_id, batch.epoch, place)
                if code:
                    return code, -1, []
            code, offset = topic.partitions[place[1]].append(batch)
            if code:
                return code, -1, []
        return Code.NONE, offset, []

    def _guilty(self, batch: Batch) -> list[int]:
        poison = self._broker.poison
        records = batch.records() if poison is not None else None
        return (
            []
            if records is None or poison is None
            else [index for index, record in enumerate(records) if poison in (record.value or b"")]
        )

    def _ListOffsets(self, version: int, reader: Reader, refusal: Code) -> bytes:
        reader.i32()
        committed = version >= 2 and reader.i8() == 1
        asked = reader.array(lambda: (reader.string() or "", reader.array(lambda: (reader.i32(), reader.i64())) or []))
        answers = array(
            string(name)
            + array(self._offset_of((name, number), time_ms, committed, refusal) for number, time_ms in all_)
            for name, all_ in asked or []
        )
        return (i32(0) if version >= 2 else b"") + answers

    def _offset_of(self, place: tuple[str, int], time_ms: int, committed: bool, refusal: Code) -> bytes:
        code = refusal or self._code_of(place)
        found: tuple[int, int] | None = None
        if not code:
            partition = self._broker.topics[place[0]].partitions[place[1]]
            end = partition.stable_end if committed else partition.end
            if time_ms in (_EARLIEST, _LATEST):
                found = (0 if time_ms == _EARLIEST else end, -1)
            else:
                found = partition.offset_at(time_ms)
                found = None if found is not None and found[0] >= end else found
        offset, at_ms = found or (-1, -1)
        return i32(place[1]) + i16(code) + i64(at_ms) + i64(offset)

    def _Fetch(self, version: int, reader: Reader, refusal: Code) -> bytes:
        reader.i32()
        wait_ms, at_least, at_most = reader.i32(), reader.i32(), reader.i32()
        committed = reader.i8() == 1
        if version >= 7:
            reader.take(8)

        def partition() -> tuple[int, int, int]:
            number = reader.i32()
            if version >= 9:
                reader.i32()
            offset = reader.i64()
            if version >= 5:
                reader.i64()
            return number, offset, reader.i32()

        asked = reader.array(lambda: (reader.string() or "", reader.array(partition) or [])) or []
        until_s = time.monotonic() + wait_ms / 1000
        while True:
            answers = [
                (
                    name,
                    [
                        self._read((name, number), offset, min(most, at_most), committed, version, refusal)
                        for number, offset, most in parts
                    ],
                )
                for name, parts in asked
            ]
            size = sum(each[1] for _, parts in answers for each in parts)
            left_s = until_s - time.monotonic()
            if size >= max(at_least, 1) or left_s <= 0 or not asked or refusal:
                break
            self._broker.lock.wait(left_s)
        body = array(string(name) + array(each[0] for each in parts) for name, parts in answers)
        return i32(0) + (i16(0) + i32(0) if version >= 7 else b"") + body

    def _read(
        self, place: tuple[str, int], offset: int, at_most: int, committed: bool, version: int, refusal: Code
    ) -> tuple[bytes, int]:
        code = refusal or self._code_of(place)
        end = stable = -1
        data, aborted = b"", []
        if not code:
            partition = self._broker.topics[place[0]].partitions[place[1]]
            end, stable = partition.end, partition.stable_end
            if offset > end:
                code = Code.OFFSET_OUT_OF_RANGE
            else:
                data, aborted = partition.read(offset, at_most=at_most, committed=committed)
        answer = i32(place[1]) + i16(code) + i64(end) + i64(stable)
        if version >= 5:
            answer += i64(0)
        answer += array(i64(each.producer_id) + i64(each.first) for each in aborted)
        if version >= 11:
            answer += i32(-1)
        return answer + blob(data), len(data) if not code else 1

    def _code_of(self, place: tuple[str, int]) -> Code:
        topic = self._broker.topic(place[0])
        if topic is None or not 0 <= place[1] < len(topic.partitions):
            return Code.UNKNOWN_TOPIC_OR_PARTITION
        return Code.TOPIC_AUTHORIZATION_FAILED if topic.denied else Code.NONE


def _versions() -> bytes:
    return array(i16(key) + i16(lowest) + i16(highest) for key, lowest, highest in APIS.values())
