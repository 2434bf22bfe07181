"""Independent reader of a Headgate store: shares no code with it.

Reads the partition logs of one pipeline from a folder or an S3 bucket, recomputes every leaf and root with hashlib from the
Parquet files as pyarrow reads them, and compares the records with what the producers say they have sent.

    python oracle.py --store FOLDER|s3://BUCKET/PREFIX --pipeline NAME [--endpoint URL] [--ledger FILE ...]

A ledger file holds one JSON object a line: {"topic", "partition", "offset", "sha256": of the value}. Prints one JSON object:
{"records", "batches", "lost", "doubled", "foreign", "changed", "badRoots", "badChains", "badDigests"} and exits 0 if all is well.
"""
import argparse
import base64
import hashlib
import io
import json
import os
import struct
import sys
from urllib.parse import unquote, urlparse

import numpy as np
import pyarrow.fs
import pyarrow.parquet


def open_store(url, endpoint):
    if not url.startswith("s3://"):
        return pyarrow.fs.SubTreeFileSystem(url, pyarrow.fs.LocalFileSystem())
    parsed = urlparse(endpoint) if endpoint else None
    s3 = pyarrow.fs.S3FileSystem(
        region="us-east-1",
        **({"endpoint_override": parsed.netloc, "scheme": parsed.scheme} if parsed else {}),
    )
    return pyarrow.fs.SubTreeFileSystem(url[len("s3://"):].rstrip("/"), s3)


def data(value):
    return b"\xff\xff\xff\xff" if value is None else struct.pack(">I", len(value)) + value


def keystream(key, count):
    """First `count` blocks of AES-256-CTR from counter zero."""
    counters = np.zeros((count, 16), np.uint8)
    counters[:, 8:] = np.arange(count, dtype=">u8").reshape(count, 1).view(np.uint8)
    stream = encrypt_blocks(expand_key(key), counters).tobytes()
    return [stream[i:i + 16] for i in range(0, len(stream), 16)]


def leaf(salt, topic, partition, row):
    out = [b"\x00\x01", salt, data(topic.encode()), data(partition.encode())]
    out.append(struct.pack(">qqB", row["_offset"], row["_timestamp"], row["_timestamp_type"]))
    out += [data(row["_raw_key"]), data(row["_raw_value"]), struct.pack(">I", len(row["_headers"]))]
    for header in row["_headers"]:
        out += [data(header["key"]), data(header["value"])]
    return hashlib.sha256(b"".join(out)).digest()


def root(leaves):
    level = leaves
    if not level:
        return hashlib.sha256(b"").digest()
    while len(level) > 1:
        paired = [hashlib.sha256(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        level = paired + ([level[-1]] if len(level) % 2 else [])
    return level[0]


SYSTEM = ["_offset", "_timestamp", "_timestamp_type", "_headers", "_raw_key", "_raw_value", "_leaf"]


def read_batch(store, entry, report):
    """Rows of a batch by offset, with their salts' key."""
    rows, key = [], None
    for name in ("data", "deadLetters"):
        ref = entry[name]
        if ref is None:
            continue
        content = store.open_input_file(ref["key"]).read()
        if hashlib.sha256(content).hexdigest() != ref["sha256"]:
            report["badDigests"] += 1
            continue
        parquet = pyarrow.parquet.ParquetFile(io.BytesIO(content))
        key = bytes.fromhex(json.loads(parquet.metadata.metadata[b"headgate"])["batchKey"])
        rows += parquet.read(columns=SYSTEM).to_pylist()
    return sorted(rows, key=lambda row: row["_offset"]), key


def check_log(store, slots, report, seen):
    previous, next_offset, topic, partition = None, None, None, None
    for number, path in enumerate(slots):
        stored = store.open_input_file(path).read()
        payload = json.loads(base64.b64decode(json.loads(stored)["dsseEnvelope"]["payload"]))
        entry = payload["predicate"]
        topic, partition = entry["topic"], entry["partition"]
        chained = entry["slot"] == number and entry["previous"] == previous
        if entry["kind"] == "open" and next_offset is not None:
            chained = chained and entry["next"] == next_offset
        if entry["kind"] in ("batch", "gap"):
            chained = chained and entry["start"] == next_offset
        report["badChains"] += not chained
        next_offset = entry["next"] if entry["kind"] == "open" else entry.get("end", next_offset)
        previous = hashlib.sha256(stored).hexdigest()
        if entry["kind"] != "batch":
            continue
        report["batches"] += 1
        rows, key = read_batch(store, entry, report)
        salts = keystream(key, len(rows)) if rows else []
        leaves = [leaf(salts[i], topic, partition, row) for i, row in enumerate(rows)]
        same = root(leaves).hex() == entry["root"] and len(rows) == entry["records"]
        same = same and all(row["_leaf"] == leaves[i] for i, row in enumerate(rows))
        report["badRoots"] += not same
        for row in rows:
            report["records"] += 1
            place = (topic, partition, row["_offset"])
            if place in seen:
                report["doubled"] += 1
            seen[place] = hashlib.sha256(row["_raw_value"] or b"").hexdigest()


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--store", required=True)
    args.add_argument("--pipeline", required=True)
    args.add_argument("--endpoint")
    args.add_argument("--ledger", nargs="*", default=[])
    args = args.parse_args()
    store = open_store(args.store, args.endpoint)
    names = ("records", "batches", "lost", "doubled", "foreign", "changed", "badRoots", "badChains", "badDigests")
    report = dict.fromkeys(names, 0)
    selector = pyarrow.fs.FileSelector(f"{args.pipeline}/log", recursive=True, allow_not_found=True)
    logs = {}
    for info in store.get_file_info(selector):
        if info.is_file:
            logs.setdefault(info.path.rsplit("/", 1)[0], []).append(info.path)
    seen = {}
    for slots in logs.values():
        check_log(store, sorted(slots), report, seen)
    sent = {}
    for path in args.ledger:
        with open(path) as lines:
            for line in lines:
                record = json.loads(line)
                sent[(record["topic"], str(record["partition"]), record["offset"])] = record["sha256"]
    if args.ledger:
        report["lost"] = sum(place not in seen for place in sent)
        report["foreign"] = sum(place not in sent for place in seen)
        report["changed"] = sum(sent[place] != seen[place] for place in sent if place in seen)
    print(json.dumps(report))
    bad = sum(report[name] for name in names if name not in ("records", "batches"))
    sys.stdout.flush()
    # Without taking the interpreter down: pyarrow's threads sometimes abort the process while it does.
    os._exit(1 if bad else 0)


# AES-256 (FIPS 197) on arrays of blocks, so that the oracle needs no crypto package. The S-box is computed.
def make_sbox():
    p = q = 1
    box = [0] * 256
    while True:
        p ^= (p << 1) ^ (0x11B if p & 0x80 else 0)
        p &= 0xFF
        q ^= q << 1
        q ^= q << 2
        q ^= q << 4
        q &= 0xFF
        q ^= 0x09 if q & 0x80 else 0
        box[p] = q ^ rotate(q, 1) ^ rotate(q, 2) ^ rotate(q, 3) ^ rotate(q, 4) ^ 0x63
        if p == 1:
            break
    box[0] = 0x63
    return box


def rotate(x, n):
    return ((x << n) | (x >> (8 - n))) & 0xFF


SBOX = make_sbox()


def expand_key(key):
    words = [list(key[4 * i:4 * i + 4]) for i in range(8)]
    constant = 1
    for i in range(8, 60):
        word = list(words[i - 1])
        if i % 8 == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= constant
            constant = (constant << 1) ^ (0x11B if constant & 0x80 else 0)
        elif i % 8 == 4:
            word = [SBOX[b] for b in word]
        words.append([a ^ b for a, b in zip(words[i - 8], word)])
    return [sum(words[4 * i:4 * i + 4], []) for i in range(15)]


DOUBLE = np.array([((x << 1) ^ (0x11B if x & 0x80 else 0)) & 0xFF for x in range(256)], np.uint8)
SHIFT_ROWS = [(i + 4 * (i % 4)) % 16 for i in range(16)]
NEXT_IN_COLUMN = [4 * (i // 4) + (i + 1) % 4 for i in range(16)]


def encrypt_blocks(schedule, blocks):
    sbox = np.array(SBOX, np.uint8)
    keys = [np.array(each, np.uint8) for each in schedule]
    state = blocks ^ keys[0]
    for number in range(1, 15):
        state = sbox[state][:, SHIFT_ROWS]
        if number < 14:
            column = np.bitwise_xor.reduce(state.reshape(-1, 4, 4), axis=2).repeat(4, axis=1)
            state = state ^ column ^ DOUBLE[state ^ state[:, NEXT_IN_COLUMN]]
        state = state ^ keys[number]
    return state


if __name__ == "__main__":
    main()
