import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { ControlAct } from '../../../src/ledger/control-entry.ts';
import { actFault, baselinesInForce } from '../../../src/ledger/control-rules.ts';
import {
  EMPTY_STATE,
  applyAct,
  encodeState,
  parseState,
  stateDigest,
  type ControlState,
} from '../../../src/ledger/control-state.ts';

const sha = (character: string): string => character.repeat(64);
const by = 'a person';
const reason = 'because';
const batch = (character: string) => ({ log: 'test/orders/0', slot: 1, digest: sha(character) });
const publish = (parent: string | null, snapshot: string): ControlAct => ({
  kind: 'publish',
  by,
  ref: 'main',
  parent,
  snapshot,
});
const rollback = (from: string, to: string): ControlAct => ({
  kind: 'rollback',
  by,
  ref: 'main',
  from,
  to,
  baselines: { orders: sha('b') },
  reason,
});

/** The state after acts that follow each other. */
function after(...acts: readonly ControlAct[]): ControlState {
  return acts.reduce((state, act, seq) => applyAct(state, act, seq), EMPTY_STATE);
}

describe('applyAct', () => {
  it('pins a schema, learns a candidate, and puts it in force when it is approved', () => {
    const learned = after(
      { kind: 'schema', by, topic: 't', schema: sha('1'), reason },
      { kind: 'learn', by, topic: 't', baseline: sha('2'), reason },
    );
    expect(learned).toMatchObject({ schemas: { t: sha('1') }, candidates: { t: sha('2') }, baselines: {} });
    const approved = applyAct(learned, { kind: 'approve', by, topic: 't', baseline: sha('2'), reason }, 2);
    expect(approved).toMatchObject({ baselines: { t: sha('2') }, candidates: {} });
  });

  it('takes back what another baseline called clean when one, or another schema, is put in force, and nothing that it called suspect', () => {
    const verdict = (digest: string, outcome: 'clean' | 'suspect', log = 'test/t/0'): ControlAct => ({
      kind: 'verdict',
      by,
      batches: [{ log, slot: 1, digest: sha(digest) }],
      outcome,
      baseline: sha('a'),
      evidence: sha('e'),
    });
    const judged = after(verdict('1', 'clean'), verdict('2', 'suspect'), verdict('3', 'clean', 'test/other/0'));
    const approved = applyAct(judged, { kind: 'approve', by, topic: 't', baseline: sha('b'), reason }, 3);
    expect(Object.keys(approved.verdicts)).toEqual([sha('2'), sha('3')]);
    const pinned = applyAct(judged, { kind: 'schema', by, topic: 't', schema: sha('1'), reason }, 3);
    expect(Object.keys(pinned.verdicts)).toHaveLength(3);
    const replaced = applyAct(pinned, { kind: 'schema', by, topic: 't', schema: sha('2'), reason }, 4);
    expect(Object.keys(replaced.verdicts)).toEqual([sha('2'), sha('3')]);
  });

  it('replaces a schema together with the baseline and the candidate that were learned under it', () => {
    const learned = after(
      { kind: 'schema', by, topic: 't', schema: sha('1'), reason },
      { kind: 'learn', by, topic: 't', baseline: sha('2'), reason },
      { kind: 'approve', by, topic: 't', baseline: sha('2'), reason },
      { kind: 'learn', by, topic: 't', baseline: sha('3'), reason },
    );
    expect(encodeState(learned).toString()).not.toContain('repinned');
    const replaced = applyAct(learned, { kind: 'schema', by, topic: 't', schema: sha('4'), reason }, 4);
    expect(replaced).toMatchObject({ schemas: { t: sha('4') }, baselines: {}, candidates: {}, repinned: { t: 4 } });
    expect(parseState(encodeState(replaced), 'state')).toEqual(replaced);
  });

  it('lets a rollback bring no baseline back that is older than the schema', () => {
    const state = applyAct(
      after({ kind: 'schema', by, topic: 't', schema: sha('1'), reason }),
      { kind: 'schema', by, topic: 't', schema: sha('2'), reason },
      5,
    );
    const baselines = { t: sha('b'), u: sha('c') };
    expect(baselinesInForce(state, { baselines, controlSeq: 4 })).toEqual({ u: sha('c') });
    expect(baselinesInForce(state, { baselines, controlSeq: 5 })).toEqual(baselines);
  });

  it('moves a ref, and takes up what was released and judged; what is condemned stays', () => {
    const decided = after(
      { kind: 'decision', by, batch: batch('1'), outcome: 'released', reason },
      { kind: 'decision', by, batch: batch('2'), outcome: 'condemned', reason },
      { kind: 'verdict', by, batches: [batch('3')], outcome: 'clean', baseline: sha('b'), evidence: sha('e') },
    );
    expect(Object.keys(decided.decisions)).toHaveLength(2);
    const published = applyAct(decided, publish(null, sha('s')), 3);
    expect(published).toMatchObject({ refs: { main: sha('s') }, verdicts: {} });
    expect(Object.keys(published.decisions)).toEqual([sha('2')]);
  });

  it('leaves what was released and judged of logs open that a publish names as waiting', () => {
    const elsewhere = { ...batch('4'), log: 'test/orders/1' };
    const decided = after(
      { kind: 'decision', by, batch: batch('1'), outcome: 'released', reason },
      { kind: 'decision', by, batch: elsewhere, outcome: 'released', reason },
      { kind: 'verdict', by, batches: [batch('3')], outcome: 'suspect', baseline: sha('b'), evidence: sha('e') },
    );
    const published = applyAct(decided, { ...publish(null, sha('s')), waiting: ['test/orders/0'] } as ControlAct, 3);
    expect(Object.keys(published.decisions)).toEqual([sha('1')]);
    expect(Object.keys(published.verdicts)).toEqual([sha('3')]);
    expect(applyAct(published, publish(sha('s'), sha('t')), 4)).toMatchObject({ decisions: {}, verdicts: {} });
  });

  it('remembers by ref which logs a resume could not judge again, until a resume can or a rollback has all judged', () => {
    const resume = (ref: string, unjudged?: string[]): ControlAct => ({
      kind: 'resume',
      by,
      ref,
      reason,
      ...(unjudged === undefined ? {} : { unjudged }),
    });
    const owed = after(publish(null, sha('a')), resume('main', ['test/orders/0']), resume('other', ['test/orders/1']));
    expect(owed.unjudged).toEqual({ main: ['test/orders/0'], other: ['test/orders/1'] });
    expect(parseState(encodeState(owed), 'state')).toEqual(owed);
    expect(applyAct(owed, publish(sha('a'), sha('c')), 3).unjudged).toEqual(owed.unjudged);
    const later = applyAct(owed, resume('other'), 3);
    expect(later.unjudged).toEqual({ main: ['test/orders/0'] });
    for (const act of [resume('main'), rollback(sha('a'), sha('d'))])
      expect(applyAct(later, act, 4)).not.toHaveProperty('unjudged');
  });

  it('lets the newest decision and the newest verdict on a batch count', () => {
    const state = after(
      { kind: 'decision', by, batch: batch('1'), outcome: 'released', reason },
      { kind: 'decision', by, batch: batch('1'), outcome: 'condemned', reason },
      { kind: 'verdict', by, batches: [batch('2')], outcome: 'clean', baseline: sha('b'), evidence: sha('e') },
      { kind: 'verdict', by, batches: [batch('2')], outcome: 'suspect', baseline: sha('b'), evidence: sha('e') },
    );
    expect(state.decisions[sha('1')]).toMatchObject({ outcome: 'condemned', seq: 1 });
    expect(state.verdicts[sha('2')]).toMatchObject({ outcome: 'suspect', seq: 3 });
  });

  it('holds a ref until it is resumed', () => {
    const held = after({ kind: 'hold', by, ref: 'main', reason });
    expect(held.holds).toEqual({ main: 0 });
    expect(applyAct(held, { kind: 'resume', by, ref: 'main', reason }, 1)).toMatchObject({
      holds: {},
      resumed: { main: 1 },
    });
  });

  it('goes back: the target’s baselines are in force, the ref is on hold, releases and verdicts are void', () => {
    const before = after(
      publish(null, sha('1')),
      publish(sha('1'), sha('2')),
      { kind: 'decision', by, batch: batch('1'), outcome: 'released', reason },
      { kind: 'decision', by, batch: batch('2'), outcome: 'condemned', reason },
      { kind: 'verdict', by, batches: [batch('3')], outcome: 'clean', baseline: sha('b'), evidence: sha('e') },
    );
    const back = applyAct(before, rollback(sha('2'), sha('1')), 5);
    expect(back).toMatchObject({
      refs: { main: sha('1') },
      holds: { main: 5 },
      baselines: { orders: sha('b') },
      verdicts: {},
    });
    expect(Object.keys(back.decisions)).toEqual([sha('2')]);
  });

  it('keeps the snapshots that rollbacks left behind, until a ref names them again', () => {
    const [first, second, third] = [sha('1'), sha('2'), sha('3')];
    const back = after(publish(null, first), publish(first, second), rollback(second, first));
    expect(back.left).toEqual({ [second]: 2 });
    const resumed = applyAct(back, { kind: 'resume', by, ref: 'main', reason }, 3);
    const published = applyAct(resumed, publish(first, third), 4);
    expect(published.left).toEqual({ [second]: 2 });
    expect(applyAct(published, rollback(third, first), 5).left).toEqual({ [second]: 2, [third]: 5 });
    const forth = applyAct(published, rollback(third, second), 5);
    expect(forth).toMatchObject({ refs: { main: second } });
    expect(forth.left).toEqual({ [third]: 5 });
  });

  it('covers with its refs and with what was left behind all that was ever published, whoever goes where', () => {
    // Each act: how far back in the list of snapshots a rollback goes; 0 = publish.
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 6 }), { maxLength: 30 }), (steps) => {
        const parents = new Map<string, string | null>();
        let state = EMPTY_STATE;
        for (const [seq, step] of steps.entries()) {
          const named = state.refs['main'] ?? null;
          const to = [...parents.keys()].at(-step);
          if (step > 0 && named !== null && to !== undefined && to !== named) {
            state = applyAct(state, rollback(named, to), seq);
          } else {
            const snapshot = seq.toString(16).padStart(64, '0');
            parents.set(snapshot, named);
            state = applyAct(state, publish(named, snapshot), seq);
          }
          const covered = new Set<string>();
          for (let at of [...Object.values(state.refs), ...Object.keys(state.left)] as (string | null)[])
            for (; at !== null; at = parents.get(at) ?? null) covered.add(at);
          expect(covered.size).toBe(parents.size);
        }
      }),
    );
  });

  it('leaves the state that it was given as it was', () => {
    const state = after(publish(null, sha('1')));
    const bytes = encodeState(state);
    applyAct(state, rollback(sha('1'), sha('2')), 1);
    expect(encodeState(state)).toEqual(bytes);
  });
});

describe('a control state', () => {
  const names = fc.constantFrom<string>('__proto__', 'constructor', 'toString', 'hasOwnProperty', '10', '9', 'a b', '');

  it('survives being stored, whatever topics are called', () => {
    fc.assert(
      fc.property(fc.array(names, { maxLength: 8 }), (topics) => {
        const state = after(
          ...topics.map((topic, i): ControlAct => ({ kind: 'schema', by, topic, schema: sha(String(i)), reason })),
        );
        const read = parseState(encodeState(state), 'state');
        expect(stateDigest(read)).toBe(stateDigest(state));
        for (const topic of ['__proto__', 'constructor', 'toString', 'valueOf']) {
          const last = topics.lastIndexOf(topic);
          for (const each of [state, read])
            expect(each.schemas[topic]).toBe(last === -1 ? undefined : sha(String(last)));
        }
      }),
    );
  });

  it('has one digest whatever order its entries came in', () => {
    const topics = ['b', 'a', '__proto__', '2', '10'];
    const digests = [topics, topics.toReversed()].map((order) =>
      stateDigest(
        after(...order.map((topic): ControlAct => ({ kind: 'schema', by, topic, schema: sha('1'), reason }))),
      ),
    );
    expect(digests[0]).toBe(digests[1]);
  });

  // Known answers: SHA-256 of Python's json.dumps(state, sort_keys=True, separators=(',', ':')).
  it('is the known one for known acts: the digest is signed in every entry and must never change', () => {
    expect(stateDigest(EMPTY_STATE)).toBe('814cbcd7fffbf2546226f96b735d8aa45a72e9889585b6204f19d6b2485239e4');
    expect(stateDigest(after(publish(null, sha('1')), { kind: 'hold', by, ref: 'main', reason }))).toBe(
      'e4d5120fdb21ced3d945014096721b64413e79e4ed215d8598266fb31544d950',
    );
  });

  it('has the known digest for topics that are called like numbers, which JavaScript would put first and in their order', () => {
    const topics = { orders: 'c', 9: 'b', 10: 'a', 2: 'd' };
    const state = after(
      ...Object.entries(topics).map(([topic, schema]): ControlAct => ({
        kind: 'schema',
        by,
        topic,
        schema: sha(schema),
        reason,
      })),
    );
    expect(encodeState(state).toString('utf8')).toMatch(/"schemas":\{"10":"a+","2":"d+","9":"b+","orders":"c+"\}/);
    expect(stateDigest(state)).toBe('71d2bd9dcf10f449454b9dcf232fa138dc8a83ec0acc9839d3c62f8e62c4847e');
  });

  it.each(['', 'null', '[]', '{"version":2}', '{"version":1}', JSON.stringify({ ...EMPTY_STATE, extra: 1 })])(
    'is refused as %j',
    (text) => {
      expect(() => parseState(Buffer.from(text), 'states/x')).toThrow(
        expect.objectContaining({ code: 'PAYLOAD_INVALID', object: 'states/x' }) as Error,
      );
    },
  );
});

describe('actFault', () => {
  const published = after(publish(null, sha('1')));

  it('lets a publish build only on what the ref names', () => {
    expect(actFault(EMPTY_STATE, publish(null, sha('1')))).toBeNull();
    expect(actFault(published, publish(sha('1'), sha('2')))).toBeNull();
    expect(actFault(EMPTY_STATE, publish(sha('1'), sha('2')))).toMatch(/names none/);
    expect(actFault(published, publish(null, sha('2')))).toMatch(/builds on snapshot none/);
    expect(actFault(published, publish(sha('2'), sha('3')))).toMatch(/builds on snapshot 2222/);
  });

  it('lets nothing be published on hold', () => {
    const held = applyAct(published, { kind: 'hold', by, ref: 'main', reason }, 1);
    expect(actFault(held, publish(sha('1'), sha('2')))).toMatch(/on hold since control entry 1/);
    expect(actFault(held, rollback(sha('1'), sha('0')))).toBeNull();
  });

  it('lets a rollback start only from what the ref names, and go somewhere else (R4)', () => {
    expect(actFault(published, rollback(sha('1'), sha('0')))).toBeNull();
    expect(actFault(published, rollback(sha('2'), sha('1')))).toMatch(/builds on/);
    expect(actFault(published, rollback(sha('1'), sha('1')))).toMatch(/goes back to where the ref is/);
  });

  it('leaves refs of other names alone', () => {
    const held = applyAct(published, { kind: 'hold', by, ref: 'beta', reason }, 1);
    expect(actFault(held, publish(sha('1'), sha('2')))).toBeNull();
  });
});
