import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ERROR_CODES, HaltError, type ErrorCode } from '../../../src/errors.ts';
import { assertJob } from '../../../src/ports/job-rules.ts';
import { alertId, haltCause, parseCause, type AlertCause } from '../../../src/respond/alert-cause.ts';
import { partition } from '../../support/ledger.ts';

const DIGEST = 'a1'.repeat(32);
const BATCH = { about: 'batch', log: 'test/orders/0', slot: 7, digest: DIGEST } as const;
const CONTROL = { about: 'control', seq: 3, digest: DIGEST } as const;
const HALT = {
  about: 'halt',
  log: 'test/orders/0',
  code: 'GAP',
  next: 12,
  message: 'Cannot go on',
  time: '2026-11-21T10:00:00.000Z',
} as const;

const codes = Object.keys(ERROR_CODES) as ErrorCode[];
/** Names as hostile producers and operators make them, lone surrogates and control characters among them. */
const hostile = (maxLength: number) => fc.string({ unit: 'binary', maxLength });
const halts = fc.record({
  log: fc.record({ cluster: hostile(40), topic: hostile(249), partition: hostile(20) }),
  code: fc.constantFrom(...codes),
  next: fc.maxSafeNat(),
  message: hostile(3_000),
  timeMs: fc.integer({ min: 0, max: 4_102_444_800_000 }),
});
const made = halts.map(({ log, code, next, message, timeMs }) =>
  haltCause(log, new HaltError(code, message), next, new Date(timeMs).toISOString()),
);
const causes: fc.Arbitrary<AlertCause> = fc.oneof(
  made,
  fc.record({
    about: fc.constant('batch' as const),
    log: fc.constantFrom('test/orders/0', 'file/a%20b/%'),
    slot: fc.maxSafeNat(),
    digest: fc.stringMatching(/^[0-9a-f]{64}$/),
  }),
  fc.record({
    about: fc.constant('control' as const),
    seq: fc.maxSafeNat(),
    digest: fc.stringMatching(/^[0-9a-f]{64}$/),
  }),
);

describe('the cause in a job', () => {
  it('is read back as it was written, whatever it is about', () => {
    for (const cause of [BATCH, CONTROL, HALT]) expect(parseCause({ ...cause })).toEqual(cause);
    fc.assert(
      fc.property(causes, (cause) => {
        expect(parseCause(JSON.parse(JSON.stringify(cause)))).toEqual(cause);
      }),
    );
  });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'batch'],
    ['a list', [BATCH]],
    ['an empty object', {}],
    ['no kind', { ...BATCH, about: undefined }],
    ['an unknown kind', { ...BATCH, about: 'record' }],
    ['a kind from the prototype', { ...CONTROL, about: 'constructor' }],
    ['one field more', { ...BATCH, value: 'what a record says' }],
    ['the fields of two kinds', { ...CONTROL, ...BATCH }],
    ['no digest', { about: 'batch', log: 'test/orders/0', slot: 7 }],
    ['a short digest', { ...BATCH, digest: 'a1' }],
    ['a digest in capitals', { ...BATCH, digest: DIGEST.toUpperCase() }],
    ['a digest and a line break', { ...BATCH, digest: `${DIGEST}\n` }],
    ['a negative slot', { ...BATCH, slot: -1 }],
    ['half a slot', { ...BATCH, slot: 0.5 }],
    ['a slot that is no exact integer', { ...BATCH, slot: 2 ** 53 }],
    ['a slot as text', { ...BATCH, slot: '7' }],
    ['a slot that is no number', { ...BATCH, slot: Number.NaN }],
    ['a seq below zero', { ...CONTROL, seq: -1 }],
    ['no log', { ...BATCH, log: '' }],
    ['a log of two parts', { ...BATCH, log: 'orders/0' }],
    ['a log of four parts', { ...BATCH, log: 'test/orders/0/1' }],
    ['a log that leads elsewhere', { ...BATCH, log: '../../x' }],
    ['a log with another spelling', { ...BATCH, log: 'test/%6Frders/0' }],
    ['a log with a line break', { ...BATCH, log: 'test/orders/0\n' }],
    ['a log that is too long', { ...BATCH, log: `test/${'x'.repeat(4_096)}/0` }],
    ['a halt in a log that is none', { ...HALT, log: 'orders' }],
    ['an unknown code', { ...HALT, code: 'FINE' }],
    ['a code from the prototype', { ...HALT, code: 'toString' }],
    ['a code that is no text', { ...HALT, code: 0 }],
    ['a message that is too long', { ...HALT, message: 'x'.repeat(2_001) }],
    ['a message that is an object', { ...HALT, message: { text: 'x' } }],
    ['a time that is none', { ...HALT, time: 'now' }],
    ['a time of another zone', { ...HALT, time: '2026-11-21T10:00:00.000+01:00' }],
  ])('is refused when it is %s', (_, data) => {
    expect(parseCause(data)).toBeNull();
  });

  it('is refused, never thrown over, when it is anything else', () => {
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true }), (data) => {
        expect(parseCause(data)).toBeNull();
      }),
    );
  });

  it('keeps its shape when one field is replaced by anything, or is refused', () => {
    const other = fc.oneof(fc.anything(), fc.double(), hostile(200));
    fc.assert(
      fc.property(causes, fc.nat(), other, (cause, which, value) => {
        const fields = Object.keys(cause);
        const field = fields[which % fields.length]!;
        const parsed = parseCause({ ...cause, [field]: value });
        if (parsed === null) return;
        expect(Object.keys(parsed).toSorted()).toEqual(fields.toSorted());
        expect(alertId(parsed)).toMatch(/^(batch|control|halt)-[0-9a-f]{32}$/);
      }),
    );
  });
});

describe('the id of an alert', () => {
  it('names what it is about and the digest of the entry', () => {
    expect(alertId(BATCH)).toBe(`batch-${DIGEST.slice(0, 32)}`);
    expect(alertId(CONTROL)).toBe(`control-${DIGEST.slice(0, 32)}`);
  });

  // printf 'test/orders/0\nGAP\n12\n2026-11-21T10:00:00.000Z\nCannot go on' | sha256sum
  it('names a halt by a hash of its log, code, offset, time and message', () => {
    expect(alertId(HALT)).toBe('halt-5b1ed4cde21cf543c299581465b2616f');
  });

  it('differs for a halt that comes again at the same offset after it was cleared', () => {
    expect(alertId({ ...HALT, time: '2027-01-01T00:00:00.000Z' })).not.toBe(alertId(HALT));
  });

  it('stays the same for the same halt by a rule, whenever it is noticed: there is one an offset', () => {
    const byRule = { ...HALT, code: 'RULE' } as const;
    expect(alertId({ ...byRule, time: '2027-01-01T00:00:00.000Z' })).toBe(alertId(byRule));
    expect(alertId({ ...byRule, next: 13 })).not.toBe(alertId(byRule));
  });

  it('differs for another log, code, offset or message, also when their texts run together', () => {
    const changed = [
      { ...HALT, log: 'test/orders/1' },
      { ...HALT, code: 'RULE' },
      { ...HALT, next: 13 },
      { ...HALT, log: 'test/orders/01', next: 2 },
      // A job that was made up must not take the place of the true one.
      { ...HALT, message: 'all is well' },
    ];
    expect(new Set([HALT, ...changed].map(alertId)).size).toBe(6);
    const pairs = fc.tuple(made, made).filter(([a, b]) => {
      const nameOf = (cause: AlertCause): string =>
        cause.about === 'halt' ? JSON.stringify([cause.log, cause.code, cause.next, cause.message]) : '';
      return nameOf(a) !== nameOf(b);
    });
    fc.assert(fc.property(pairs, ([a, b]) => alertId(a) !== alertId(b)));
  });

  it('can be the id of a job and a webhook, whatever the log is called', () => {
    fc.assert(
      fc.property(causes, (cause) => {
        expect(alertId(cause)).toMatch(/^(batch|control|halt)-[0-9a-f]{32}$/);
      }),
    );
  });
});

describe('the cause of a halt', () => {
  it('says which partition stopped, why, before which offset and when', () => {
    const error = new HaltError('GAP', 'Cannot go on');
    expect(haltCause(partition(0), error, 12, HALT.time)).toEqual(HALT);
  });

  it('keeps a long message short', () => {
    const cause = haltCause(partition(0), new HaltError('GAP', 'x'.repeat(5_000)), 0, HALT.time);
    expect(cause).toMatchObject({ message: 'x'.repeat(2_000) });
    expect(parseCause(cause)).toEqual(cause);
  });

  it('fits into a job, even with a message of nothing but control characters', () => {
    const log = partition(0, '\u{1}'.repeat(249));
    const worst = haltCause(log, new HaltError('ENCODING_UNFAITHFUL', '\u{1}'.repeat(5_000)), 2 ** 53 - 1, HALT.time);
    fc.assert(
      fc.property(fc.oneof(fc.constant(worst), made), (cause) => {
        const id = `${alertId(cause)}-${'c'.repeat(100)}`;
        expect(() => assertJob({ id, kind: 'alert', data: { ...cause, channel: 'c'.repeat(100) } })).not.toThrow();
      }),
    );
  });
});
