"""Reads stored batches with pyarrow and DuckDB and compares them with what their producer wrote: shares no code with Headgate.

    python readers.py check --store FOLDER --pipeline NAME --spec SPEC.json [--pulled FOLDER]
    python readers.py send --brokers HOST:PORT --topic NAME --sent FILE

A sent file holds one JSON object a record: {"topic", "partition", "offset", "value": base64 or null, "key", "headers":
[[name, base64 or null], ...], "timestamp", "timestampType", "reason": null, or why it must be a dead letter}. `send` writes
such records to Kafka and completes the file with what the broker acknowledged.

A spec holds {"sent", "topics": {topic: {"format", "columns": [{"name", "path", "type", ...}], "header", "delimiter",
"nullValues"}}}. What a column must hold is computed here from the bytes of each record, its types from the tables below.
Prints {"faults": [...], ...counts} and exits 0; the caller looks at both.
"""
import argparse
import base64
import collections
import decimal
import functools
import glob
import json
import os
import math
import re
import struct
from datetime import date

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

decimal.getcontext().prec = 200
FAULTS_MAX = 30
UNITS = {"ms": 10**3, "us": 10**6, "ns": 10**9}

SYSTEM_TYPES = {  # name: (Arrow, nullable, DuckDB)
    "_offset": ("int64", False, "BIGINT"),
    "_timestamp": ("int64", False, "BIGINT"),
    "_timestamp_type": ("uint8", False, "UTINYINT"),
    "_headers": ("list<item: struct<key: binary not null, value: binary> not null>", False, 'STRUCT("key" BLOB, "value" BLOB)[]'),
    "_raw_key": ("binary", True, "BLOB"),
    "_raw_value": ("binary", True, "BLOB"),
    "_leaf": ("fixed_size_binary[32]", False, "BLOB"),
}
REASON_TYPE = ("string", False, "VARCHAR")


def arrow_type(column):
    kind = column["type"]
    if kind == "decimal":
        return f"decimal128({column['precision']}, {column['scale']})"
    if kind == "timestamp":
        return f"timestamp[{column['unit']}, tz=UTC]"
    return {"int64": "int64", "float64": "double", "boolean": "bool", "string": "string", "json": "string"}[kind]


def duckdb_type(column):
    kind = column["type"]
    if kind == "decimal":
        return f"DECIMAL({column['precision']},{column['scale']})"
    if kind == "timestamp":
        return "TIMESTAMPTZ_NS" if column["unit"] == "ns" else "TIMESTAMP WITH TIME ZONE"
    return {"int64": "BIGINT", "float64": "DOUBLE", "boolean": "BOOLEAN", "string": "VARCHAR", "json": "VARCHAR"}[kind]


# What a value must become, from its text. Values are compared as: int, bool, str, None, and 8 bytes of a double.

NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?\Z")


def int64_of(text):
    value = int(text)
    return value if -(2**63) <= value < 2**63 else None


def float64_of(text):
    value = float(text)
    if re.fullmatch(r"-?\d+", text) and (math.isinf(value) or int(text) != int(value)):
        return None
    is_lost = value in (float("inf"), float("-inf")) or (value == 0 and re.search(r"[1-9]", re.split("[eE]", text)[0]))
    return None if is_lost else struct.pack(">d", value)


def decimal_of(text, column):
    """Unscaled integer, or None if the column has no room for every digit."""
    unscaled = decimal.Decimal(text).scaleb(column["scale"])
    if unscaled != unscaled.to_integral_value() or abs(unscaled) >= 10 ** column["precision"]:
        return None
    return int(unscaled)


TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d))?\Z")


def timestamp_of(text, column):
    """Count of the column's unit since 1970, or None if it is not a whole number or beyond int64."""
    day, hour, minute, second, fraction, zone = TIMESTAMP.match(text).groups()
    if day.startswith("0000") or second == "60":
        return None
    seconds = (date.fromisoformat(day) - date(1970, 1, 1)).days * 86400
    if zone is not None:
        seconds += int(hour) * 3600 + int(minute) * 60 + int(second)
    if zone not in (None, "Z", "z"):
        shift = int(zone[1:3]) * 3600 + int(zone[4:]) * 60
        seconds -= -shift if zone[0] == "-" else shift
    exact = (seconds + decimal.Decimal("0." + (fraction or "0"))) * UNITS[column["unit"]]
    return int(exact) if exact == exact.to_integral_value() and -(2**63) <= exact < 2**63 else None


SPACE = re.compile(r"[ \t\n\r]*")


@functools.lru_cache(maxsize=256)
def json_members(text):
    """Text of each member of a JSON object by its key: the standard parser finds where values end."""
    members, decoder = {}, json.JSONDecoder()

    def skip(position):
        return SPACE.match(text, position).end()

    at = skip(skip(0) + 1)
    while text[at] != "}":
        key, at = json.decoder.scanstring(text, at + 1)
        start = skip(skip(at) + 1)
        _, end = decoder.raw_decode(text, start)
        members[key] = text[start:end]
        at = skip(end)
        at = skip(at + 1) if text[at] == "," else at
    return members


def json_cell(text, column):
    for key in column["path"]:
        if text is None or text == "null":
            return None
        text = json_members(text).get(key)
    if text is None or text == "null":
        return None
    kind = column["type"]
    if kind == "json":
        return text
    if kind in ("string", "timestamp"):
        return cell(json.loads(text), column)
    return cell(text, column)


def cell(text, column):
    kind = column["type"]
    if kind in ("string", "json"):
        return text
    if kind == "boolean":
        return text.lower() == "true"
    if kind == "timestamp":
        return timestamp_of(text, column)
    assert NUMBER.match(text), text
    if kind == "decimal":
        return decimal_of(text, column)
    return int64_of(text) if kind == "int64" else float64_of(text)


QUOTED = re.compile(r'"(?:[^"]|"")*"')


def csv_fields(text, delimiter):
    """(text, quoted) of each field; RFC 4180."""
    fields, at = [], 0
    while True:
        if text[at:at + 1] == '"':
            end = QUOTED.match(text, at).end()
            fields.append((text[at + 1:end - 1].replace('""', '"'), True))
        else:
            end = text.find(delimiter, at)
            end = len(text) if end < 0 else end
            fields.append((text[at:end], False))
        if end == len(text):
            return fields
        at = end + 1


def csv_cells(text, topic, header):
    fields = dict(zip(header, csv_fields(text, topic["delimiter"])))
    for column in topic["columns"]:
        content, quoted = fields.get(column["path"][0], ("", False))
        is_null = column["path"][0] not in fields or (not quoted and content in topic["nullValues"])
        if column["type"] == "json":
            content = content.strip(" \t\r\n")
        yield None if is_null else cell(content, column)


def expected_cells(record, topic):
    text = record["bytes"].decode("utf-8")
    if topic["format"] == "csv":
        return list(csv_cells(text, topic, topic["headers"][record["partition"]]))
    return [json_cell(text, column) for column in topic["columns"]]


def expected_system(record):
    headers = [(name.encode(), None if value is None else base64.b64decode(value)) for name, value in record["headers"]]
    key = None if record["key"] is None else base64.b64decode(record["key"])
    return [record["offset"], record["timestamp"], record["timestampType"], headers, key, record["bytes"]]


# Two readers. Each gives (names with types, rows of comparable values).

def comparable(value, kind):
    if value is None:
        return None
    if kind == "float64":
        return struct.pack(">d", value)
    if kind == "decimal":
        sign, digits, _ = value.as_tuple()
        return int("".join(map(str, digits))) * (-1 if sign else 1)
    if kind == "headers":
        return [(pair["key"], pair["value"]) for pair in value]
    return value


def read_pyarrow(path, kinds):
    table = pq.read_table(path)
    types = [(field.name, str(field.type), field.nullable) for field in table.schema]
    columns = []
    for name, kind in kinds:
        column = table.column(name)
        values = column.cast(pa.int64()) if kind == "timestamp" else column
        columns.append([comparable(value, kind) for value in values.to_pylist()])
    return types, list(zip(*columns))


connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'")


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def duckdb_names(names):
    """DuckDB ignores case in names and tells apart what it cannot by a number."""
    seen, given = collections.Counter(), []
    for name in names:
        number = seen[name.lower()]
        seen[name.lower()] += 1
        given.append(name if number == 0 else f"{name}_{number}")
    return given


def duckdb_value(name, column):
    """Instants as counts: a datetime of Python ends at microseconds."""
    if column is None or column["type"] != "timestamp":
        return quoted(name)
    return f"epoch_{column['unit']}({quoted(name)})"


def duckdb_wanted(value, kind):
    """DuckDB keeps its infinities where the outermost nanoseconds would be, and gives no count of them."""
    return None if kind[1] == "timestamp" and value in (2**63 - 1, 1 - 2**63) else value


def read_duckdb(path, names, columns, kinds):
    source = f"read_parquet('{path}')"
    types = [(name, kind) for name, kind, *_ in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
    chosen = ", ".join(duckdb_value(name, column) for name, column in zip(names, columns))
    rows = connection.execute(f"SELECT {chosen} FROM {source}").fetchall()
    return types, [tuple(comparable(value, kind) for value, (_, kind) in zip(row, kinds)) for row in rows]


class Check:
    def __init__(self, store, pipeline, spec):
        self.store, self.pipeline, self.spec = store, pipeline, spec
        self.faults, self.counts = [], collections.Counter()
        self.nulls, self.values = collections.Counter(), collections.Counter()
        self.found = {}
        self.sent = {}
        with open(spec["sent"]) as lines:
            for record in map(json.loads, lines):
                record["bytes"] = None if record["value"] is None else base64.b64decode(record["value"])
                self.sent[(record["topic"], record["partition"], record["offset"])] = record

    def fault(self, *what):
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(" ".join(part if isinstance(part, str) else repr(part)[:200] for part in what))

    def same(self, found, wanted, *what):
        self.counts["comparisons"] += 1
        if found != wanted:
            self.fault(*what, "is", found, "instead of", wanted)

    def log(self, folder):
        for path in sorted(glob.glob(f"{glob.escape(folder)}/*")):
            with open(path) as file:
                entry = json.loads(base64.b64decode(json.load(file)["dsseEnvelope"]["payload"]))["predicate"]
            if entry["kind"] == "batch":
                self.batch(entry)

    def batch(self, entry):
        self.counts["batches"] += 1
        self.counts["emptyBatches"] += entry["data"] is None
        topic = self.spec["topics"][entry["topic"]]
        here = (entry["topic"], entry["partition"])
        records = [self.sent.pop((*here, offset), None) for offset in range(entry["start"], entry["end"])]
        if None in records:
            return self.fault("batch", here, entry["start"], "holds records that nobody sent, or holds them twice")
        decoded = [record for record in records if record["reason"] is None]
        dead = [record for record in records if record["reason"] is not None]
        self.same(entry["deadLetterRecords"], len(dead), "dead letters of", here)
        columns = topic["columns"]
        self.file(entry["data"], columns, decoded, lambda record: expected_cells(record, topic), {})
        self.file(entry["deadLetters"], [], dead, lambda record: [], {"_reason": REASON_TYPE})
        self.counts["rows"] += len(decoded)
        self.counts["deadLetters"] += len(dead)

    def file(self, stored, columns, records, cells, extra):
        if stored is None or not records:
            return self.same(stored, None, "file of", len(records), "records")
        path = f"{self.store}/{stored['key']}"
        system = {**SYSTEM_TYPES, **extra}
        names = [column["name"] for column in columns] + list(system)
        wanted = [
            (*cells(record), *expected_system(record), *([record["reason"]] if extra else [])) for record in records
        ]
        # The leaf is not of the producer's making; oracle.py recomputes it.
        compared = [name for name in names if name != "_leaf"]
        kinds = [(name, kind_of(name, columns)) for name in compared]
        by_name = {column["name"]: column for column in columns}
        types, rows = read_pyarrow(path, kinds)
        arrow = [(column["name"], arrow_type(column), True) for column in columns]
        self.types(types, arrow + [(name, kind, nullable) for name, (kind, nullable, _) in system.items()], "pyarrow")
        described = {name: kind for name, kind, _ in types}
        self.rows(rows, wanted, kinds, "pyarrow", path)
        given = dict(zip(names, duckdb_names(names)))
        types, rows = read_duckdb(path, [given[name] for name in compared], [by_name.get(name) for name in compared], kinds)
        duck = [(given[column["name"]], duckdb_type(column)) for column in columns]
        self.types(types, duck + [(name, kind) for name, (*_, kind) in system.items()], "DuckDB")
        self.found.update({name: (kind, dict(types).get(given[name])) for name, kind in described.items() if name in given})
        self.rows(rows, [tuple(map(duckdb_wanted, row, kinds)) for row in wanted], kinds, "DuckDB", path)
        self.statistics(path, columns, [given[column["name"]] for column in columns], wanted)
        self.counts["rowGroups"] += pq.ParquetFile(path).num_row_groups
        self.counts["files"] += 1
        for row in wanted:
            for (name, _), value in zip(kinds, row):
                (self.nulls if value is None else self.values)[name] += 1

    def types(self, found, wanted, reader):
        self.same(len(found), len(wanted), reader, "columns")
        for column, other in zip(found, wanted):
            self.same(column, other, reader, "type")

    def rows(self, found, wanted, kinds, reader, path):
        self.same(len(found), len(wanted), reader, "rows of", path)
        for number, (row, other) in enumerate(zip(found, wanted)):
            self.counts["comparisons"] += len(kinds)
            if row != other:
                for (name, _), value, right in zip(kinds, row, other):
                    if value != right:
                        self.fault(reader, name, "of row", number, "is", value, "instead of", right, path[-30:])

    def statistics(self, path, columns, names, wanted):
        """Bounds that readers skip rows by: a wrong one loses rows without a word."""
        group = pq.ParquetFile(path).metadata.row_group(0)
        for index, (column, name) in enumerate(zip(columns, names)):
            values = [row[index] for row in wanted if row[index] is not None]
            found = group.column(index).statistics
            self.same(found is not None and found.null_count, len(wanted) - len(values), "null count of", name)
            values = [each for each in values if duckdb_wanted(each, (name, column["type"])) is not None]
            value = duckdb_value(name, column)
            source = f"read_parquet('{path}')"
            low, high = connection.execute(f"SELECT min({value}), max({value}) FROM {source}").fetchone()
            if column["type"] == "float64":
                values = [struct.unpack(">d", each)[0] for each in values]
            bounds = [comparable(each, column["type"] if column["type"] == "decimal" else "") for each in (low, high)]
            order = (lambda text: text.encode()) if column["type"] in ("string", "json") else None
            extremes = [min(values, key=order), max(values, key=order)] if values else [None, None]
            self.same(bounds, extremes, "DuckDB bounds of", name)
            for literal, count in self.probes(column, values):
                (seen,) = connection.execute(f"SELECT count(*) FROM {source} WHERE {value} = {literal}").fetchone()
                self.same(seen, count, "DuckDB count of", name, literal)

    def probes(self, column, values):
        """A few values as SQL, each with how often it occurs."""
        kind = column["type"]
        for value, count in list(collections.Counter(values).items())[:5]:
            if kind in ("int64", "boolean", "timestamp"):
                yield f"CAST('{value}' AS {'BOOLEAN' if kind == 'boolean' else 'BIGINT'})", count
            elif kind == "float64":
                yield f"CAST('{value!r}' AS DOUBLE)", count
            elif kind == "decimal":
                exact = format(decimal.Decimal(value).scaleb(-column["scale"]), "f")
                yield f"CAST('{exact}' AS {duckdb_type(column)})", count
            elif "\0" not in value:
                yield "'" + value.replace("'", "''") + "'", count

    def pulled(self, folder):
        """What a training job reads: all files of a topic together, as the documentation shows it."""
        for topic in self.spec["topics"]:
            (rows,) = connection.execute(f"SELECT count(*) FROM '{folder}/{topic}/**/*.parquet'").fetchone()
            tables = [pq.read_table(path) for path in glob.glob(f"{folder}/{topic}/**/*.parquet", recursive=True)]
            self.same(rows, pa.concat_tables(tables).num_rows, "pulled rows of", topic)
            self.counts["pulledRows"] += rows

    def report(self):
        if self.sent:
            self.fault(len(self.sent), "records were never stored, the first:", next(iter(self.sent)))
        columns = {name: [self.values[name], self.nulls[name]] for name in {**self.values, **self.nulls}}
        return {**self.counts, "columns": columns, "types": self.found, "faults": self.faults}


def kind_of(name, columns):
    found = [column["type"] for column in columns if column["name"] == name]
    return found[0] if found else "headers" if name == "_headers" else "system"


def send(brokers, topic, path):
    from confluent_kafka import Producer

    with open(path) as lines:
        records = [json.loads(line) for line in lines]
    producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True})

    def acknowledged(record):
        def note(error, message):
            if error is not None:
                raise RuntimeError(f"Cannot send: {error}")
            kind, record["timestamp"] = message.timestamp()
            record["timestampType"] = {1: 0, 2: 1}[kind]
            record.update(topic=topic, partition=str(message.partition()), offset=message.offset())
        return note

    for record in records:
        optional = {} if record["timestamp"] is None else {"timestamp": record["timestamp"]}
        producer.produce(
            topic,
            partition=int(record["partition"]),
            value=None if record["value"] is None else base64.b64decode(record["value"]),
            key=None if record["key"] is None else base64.b64decode(record["key"]),
            headers=[(name, None if value is None else base64.b64decode(value)) for name, value in record["headers"]],
            on_delivery=acknowledged(record),
            **optional,
        )
    assert producer.flush(30) == 0, "records were not acknowledged"
    with open(path, "w") as lines:
        lines.writelines(json.dumps(record) + "\n" for record in records)


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check")
    for name in ("--store", "--pipeline", "--spec"):
        check.add_argument(name, required=True)
    check.add_argument("--pulled")
    sender = commands.add_parser("send")
    for name in ("--brokers", "--topic", "--sent"):
        sender.add_argument(name, required=True)
    args = parser.parse_args()
    if args.command == "send":
        return send(args.brokers, args.topic, args.sent)
    with open(args.spec) as file:
        work = Check(args.store, args.pipeline, json.load(file))
    for folder in sorted(glob.glob(f"{args.store}/{args.pipeline}/log/*/*/*")):
        work.log(folder)
    if args.pulled is not None:
        work.pulled(args.pulled)
    print(json.dumps(work.report()), flush=True)
    # Without taking the interpreter down: pyarrow's threads sometimes abort the process while it does.
    os._exit(0)


if __name__ == "__main__":
    main()
