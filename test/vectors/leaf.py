"""Makes leaf.json: leaves of version 1 by an implementation that shares no code with Headgate.

Run: python3 test/vectors/leaf.py > test/vectors/leaf.json   (needs: pip install cryptography)
"""
import hashlib, json, struct
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def data(x):
    return b"\xff\xff\xff\xff" if x is None else struct.pack(">I", len(x)) + x


def leaf(salt, topic, partition, offset, timestamp, kind, key, value, headers):
    out = b"\x00\x01" + salt + data(topic.encode()) + data(partition.encode())
    out += struct.pack(">qqB", offset, timestamp, kind) + data(key) + data(value) + struct.pack(">I", len(headers))
    for name, content in headers:
        out += data(name) + data(content)
    return hashlib.sha256(out).hexdigest()


def root(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + root(leaves[:k]) + root(leaves[k:])).digest()


KEY = bytes(range(32))
TOPIC, PARTITION = "flüge.2013", "7"
RECORDS = [
    (0, 1_357_020_000_000, 0, b"k", b'{"a":1}', []),
    (1, -1, 0, None, b"", []),
    (2, 0, 2, b"", None, []),
    (5, 9_223_372_036_854_775_807, 1, b"\x00\xff", b"x" * 20_000, [(b"h", b"v"), (b"h", None), (b"\xff\xfe", b"")]),
    (9_007_199_254_740_990, -9_223_372_036_854_775_808, 0, None, None, [(b"", b"")]),
]
cipher = Cipher(algorithms.AES(KEY), modes.CTR(bytes(16))).encryptor()
salts = cipher.update(bytes(16 * len(RECORDS)))
hexed = lambda x: None if x is None else x.hex()
rows = []
for i, (offset, timestamp, kind, key, value, headers) in enumerate(RECORDS):
    rows.append({
        "offset": offset, "timestamp": str(timestamp), "timestampType": kind, "key": hexed(key), "value": hexed(value),
        "headers": [[n.hex(), hexed(v)] for n, v in headers],
        "leaf": leaf(salts[16 * i:16 * i + 16], TOPIC, PARTITION, offset, timestamp, kind, key, value, headers),
    })
print(json.dumps({
    "version": 1, "batchKey": KEY.hex(), "topic": TOPIC, "partition": PARTITION, "records": rows,
    "root": root([bytes.fromhex(r["leaf"]) for r in rows]).hex(),
}, indent=1))
