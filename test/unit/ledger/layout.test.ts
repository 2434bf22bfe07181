import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { Layout } from '../../../src/ledger/layout.ts';
import { assertKey } from '../../../src/ports/object-key.ts';
import { formatLogId, type LogId } from '../../../src/record/log-id.ts';

const layout = new Layout('shop');
const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', '.', '..', 'a/b', 'a.b', 'a_b', '~', '%', 'x'.repeat(500), 'ü'.repeat(200)),
);
const log: fc.Arbitrary<LogId> = fc.record({ cluster: text, topic: text, partition: text });

const AN_ID: LogId = { cluster: 'c', topic: 't', partition: '0' };

describe('Layout', () => {
  it('gives every log keys that every store accepts, whatever its names are (K32)', () => {
    fc.assert(
      fc.property(log, fc.nat(), (id, slot) => {
        const name = { log: id, epoch: 1, start: slot, end: Number.MAX_SAFE_INTEGER };
        const sha256 = 'a'.repeat(64);
        for (const key of [
          layout.slot(id, slot),
          layout.data('quarantine', name, sha256),
          layout.deadLetters(name, sha256),
          layout.evidence(name, sha256),
          layout.headHint(id),
        ]) {
          assertKey(key);
          expect(key.startsWith('shop/')).toBe(true);
        }
      }),
    );
  });

  it('never gives two logs one folder', () => {
    fc.assert(
      fc.property(log, log, (a, b) => {
        fc.pre(formatLogId(a) !== formatLogId(b));
        expect(layout.log(a)).not.toBe(layout.log(b));
        expect(layout.log(a).startsWith(layout.log(b))).toBe(false);
      }),
    );
  });

  it('tells which log an object belongs to, and of what belongs to none that it does not', () => {
    const sha256 = 'a'.repeat(64);
    fc.assert(
      fc.property(log, fc.nat(), (id, slot) => {
        const name = { log: id, epoch: 1, start: slot, end: Number.MAX_SAFE_INTEGER };
        for (const key of [
          layout.slot(id, slot),
          layout.data('data', name, sha256),
          layout.data('quarantine', name, sha256),
          layout.deadLetters(name, sha256),
          layout.evidence(name, sha256),
        ])
          expect(layout.headHintOf(key)).toBe(layout.headHint(id));
        expect(layout.headHintNamed(formatLogId(id))).toBe(layout.headHint(id));
        expect(layout.logOfHint(layout.headHint(id))).toBe(layout.log(id));
        expect(layout.firstSlot(layout.log(id))).toBe(layout.slot(id, 0));
        expect(layout.log(id).startsWith(layout.topic(id))).toBe(true);
      }),
    );
    for (const name of ['.DS_Store', '/x', 'a/b', 'a/b/c/d', 'a/b/.c', ''])
      expect(layout.headHintNamed(name)).toBeNull();
    const others = [layout.judgement(sha256), layout.snapshot(sha256), layout.page(sha256), layout.controlEntry(1)];
    for (const key of [...others, layout.baseline(sha256), 'baseline', '', new Layout('b').slot(AN_ID, 1)])
      expect(layout.headHintOf(key)).toBeNull();
  });

  it('orders slots as numbers', () => {
    const keys = [0, 9, 10, 99, 100, 1e15].map((slot) => layout.slot(AN_ID, slot));
    expect(keys.toSorted()).toEqual(keys);
    for (const slot of [-1, 0.5, Number.NaN, 2 ** 53]) expect(() => layout.slot(AN_ID, slot)).toThrow(RangeError);
  });

  it('keeps pipelines apart', () => {
    expect(new Layout('a').control()).not.toBe(new Layout('b').control());
    expect(new Layout('../b').control()).toBe('%2E.%2Fb/control/');
  });
});
