import fc from 'fast-check';
import { beforeEach, describe, expect, it, vi } from 'vitest';

import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import type { ControlAct, ControlEntry } from '../../../src/ledger/control-entry.ts';
import { EMPTY_STATE, applyAct, encodeState, stateDigest } from '../../../src/ledger/control-state.ts';
import { CONTROL_PREDICATE, makeStatement } from '../../../src/ledger/statements/statement.ts';
import { CREATE_FAULTS, FaultyStore, StoreDecorator } from '../../support/faulty-store.ts';
import { bytesOf, overwrite, sign, signControlEntry, swap } from '../../support/forge.ts';
import { TestLedger, all, never, newSigner } from '../../support/ledger.ts';

const sha = (character: string): string => character.repeat(64);
const by = 'a person';
const reason = 'because';
const hold = (ref: string): ControlAct => ({ kind: 'hold', by, ref, reason });
const resume = (ref: string): ControlAct => ({ kind: 'resume', by, ref, reason });

describe('the control log', () => {
  let store: FaultyStore;
  let test: TestLedger;
  const key = (seq: number): string => test.ledger.layout.controlEntry(seq);
  const cold = () => test.reopened().control;

  beforeEach(async () => {
    store = new FaultyStore(new MemoryStore());
    test = await TestLedger.open({ store, prepared: false });
  });

  it('begins empty', async () => {
    expect(await cold().head()).toEqual({ newest: null, state: EMPTY_STATE });
    expect(await all(cold().walk())).toEqual([]);
  });

  it('chains entries: each names the one before and the state that results', async () => {
    const first = await test.act(hold('main'));
    const second = await test.act(resume('main'));
    expect(first.entry).toMatchObject({ seq: 0, previous: null, kind: 'hold', pipeline: 'shop', by });
    expect(second.entry).toMatchObject({ seq: 1, previous: first.digest });
    const state = applyAct(applyAct(EMPTY_STATE, first.entry, 0), second.entry, 1);
    expect(second.entry.state).toBe(stateDigest(state));
    expect(await cold().head()).toEqual({ newest: second, state });
    expect((await all(cold().walk())).map(({ digest }) => digest)).toEqual([first.digest, second.digest]);
    expect((await all(cold().walk(1))).map(({ digest }) => digest)).toEqual([second.digest]);
  });

  it('shows a reader what others append', async () => {
    const reader = cold();
    await reader.head();
    for (let i = 0; i < 5; i++) await test.act(hold(`r${i}`));
    const { newest, state } = await reader.head();
    expect(newest!.entry.seq).toBe(4);
    expect(Object.keys(state.holds)).toEqual(['r0', 'r1', 'r2', 'r3', 'r4']);
  });

  it('never knows less than it did, though the store answers late what another act has built on by then', async () => {
    let answer = (): void => undefined;
    const late = new Promise<void>((resolve) => (answer = resolve));
    const slow = new (class extends StoreDecorator {
      override async create(name: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
        const outcome = await super.create(name, bytes);
        if (name === key(0)) await late;
        return outcome;
      }
    })(store);
    const { control } = test.reopened(slow);
    const first = control.append(test.keys.approver, () => hold('main'), never);
    await vi.waitFor(async () => expect(await store.stat(key(0))).not.toBeNull());
    const second = await control.append(test.keys.approver, () => resume('main'), never);
    expect(control.known.newest).toEqual(second);
    answer();
    await first;
    expect(control.known.newest).toEqual(second);
  });

  it('writes nothing when the author decides to do nothing, or refuses', async () => {
    expect(await test.ledger.control.append(test.keys.approver, () => null, never)).toBeNull();
    const refusing = test.ledger.control.append(test.keys.approver, () => Promise.reject(new Error('no')), never);
    await expect(refusing).rejects.toThrow('no');
    expect((await cold().head()).newest).toBeNull();
  });

  it('asks the author again on the newest state when someone was faster', async () => {
    const slow = cold();
    await slow.head();
    await test.act(hold('main'));
    const seen: number[] = [];
    const entry = await slow.append(
      test.keys.approver,
      ({ newest, state }) => {
        seen.push(newest?.entry.seq ?? -1);
        return state.holds['main'] === undefined ? hold('main') : resume('main');
      },
      never,
    );
    expect(seen).toEqual([0]);
    expect(entry!.entry).toMatchObject({ seq: 1, kind: 'resume' });
  });

  it.each(CREATE_FAULTS)('appends exactly once when the create of its slot is %s', async (fault) => {
    store.creates.push(null, fault);
    await test.act(hold('main'));
    await test.act(resume('main'));
    expect((await all(cold().walk())).map(({ entry }) => entry.kind)).toEqual(['hold', 'resume']);
  });

  it('gives one chain with every act exactly once, however many append at once', async () => {
    const appenders = fc.array(fc.array(fc.constantFrom(null, ...CREATE_FAULTS), { minLength: 1, maxLength: 4 }), {
      minLength: 2,
      maxLength: 5,
    });
    await fc.assert(
      fc.asyncProperty(appenders, async (plans) => {
        const faulty = new FaultyStore(new MemoryStore());
        const own = await TestLedger.open({ store: faulty, prepared: false });
        faulty.creates.push(...plans.flat());
        const acts = plans.map((plan, a) => plan.map((_, i) => `a${a}-${i}`));
        const append = async (refs: readonly string[]): Promise<void> => {
          const { control } = own.reopened();
          for (const ref of refs) await control.append(own.keys.approver, () => hold(ref), never);
        };
        await Promise.all(acts.map(append));
        const entries = await all(own.reopened().control.walk());
        const refs = entries.map(({ entry }) => (entry as Extract<ControlEntry, { kind: 'hold' }>).ref);
        expect(refs.toSorted()).toEqual(acts.flat().toSorted());
        for (const mine of acts) expect(refs.filter((ref) => mine.includes(ref))).toEqual(mine);
        expect((await own.reopened().control.head()).state.holds).toEqual(
          Object.fromEntries(refs.map((ref, seq) => [ref, seq])),
        );
      }),
      { numRuns: 30 },
    );
  });

  it('finds its end from cold whatever the hint says, with few reads', async () => {
    for (let i = 0; i < 40; i++) await test.act(hold(`r${i}`));
    const hints = ['0', '39', '38', '7', '40', '1000000', '-1', '1.5', 'x', '', '9'.repeat(400), '{"seq":3}'];
    for (const hint of hints) {
      await store.put(test.ledger.layout.controlHint(), Buffer.from(hint));
      expect((await cold().head()).newest!.entry.seq, `hint ${hint}`).toBe(39);
    }
    await store.put(test.ledger.layout.controlHint(), Buffer.alloc(100_000));
    expect((await cold().head()).newest!.entry.seq).toBe(39);
    await store.delete(test.ledger.layout.controlHint());
    expect((await cold().head()).newest!.entry.seq).toBe(39);
  });

  it('finds its end from cold for every length', async () => {
    for (let length = 1; length <= 20; length++) {
      await test.act(hold(`r${length}`));
      await store.delete(test.ledger.layout.controlHint());
      expect((await cold().head()).newest!.entry.seq).toBe(length - 1);
    }
  });

  it('refuses to build on a hole: a missing entry behind which others lie', async () => {
    for (let i = 0; i < 6; i++) await test.act(hold(`r${i}`));
    const warm = test.ledger.control;
    for (const missing of [5, 3, 0]) {
      const own = await bytesOf(store, key(missing));
      await store.delete(key(missing));
      // A hint that leads before the hole must not make it look like the end.
      await store.put(test.ledger.layout.controlHint(), Buffer.from(String(Math.max(0, missing - 1))));
      const hole = { code: 'SLOT_MISSING', object: key(missing) };
      if (missing === 5) expect((await cold().head()).newest!.entry.seq).toBe(4);
      else await expect(cold().head()).rejects.toMatchObject(hole);
      await store.inner.create(key(missing), own);
    }
    await store.put(key(8), Buffer.from('x'));
    await expect(warm.append(test.keys.approver, () => hold('main'), never)).rejects.toMatchObject({
      code: 'SLOT_MISSING',
      object: key(6),
    });
    expect(await store.get(key(6), 10)).toBeNull();
  });

  it('halts at a slot that someone has filled with bytes that are no entry (M26)', async () => {
    await test.act(hold('main'));
    for (const bytes of [Buffer.from('squatted'), Buffer.alloc(300_000)]) {
      await overwrite(store, key(1), bytes);
      const appending = test.ledger.control.append(test.keys.approver, () => resume('main'), never);
      await expect(appending).rejects.toMatchObject({ object: key(1) });
    }
  });

  describe('with entries', () => {
    let entries: readonly ControlEntry[];

    beforeEach(async () => {
      await test.act(hold('main'));
      await test.act(resume('main'));
      await test.act(hold('main'));
      entries = (await all(test.ledger.control.walk())).map(({ entry }) => entry);
    });

    const replaced = async (seq: number, bytes: Uint8Array): Promise<void> => overwrite(store, key(seq), bytes);
    const refused = async (seq: number, code: string): Promise<void> => {
      await expect(all(cold().walk())).rejects.toMatchObject({ code, object: key(seq) });
    };

    it('refuses two that are swapped, one that is repeated, one of another pipeline', async () => {
      await swap(store, key(1), key(2));
      await refused(1, 'CHAIN_BROKEN');
      await swap(store, key(1), key(2));
      await replaced(3, await bytesOf(store, key(2)));
      await refused(3, 'CHAIN_BROKEN');
      await replaced(3, await signControlEntry({ ...entries[2]!, seq: 3, pipeline: 'other' }, test.keys.approver));
      await refused(3, 'CHAIN_BROKEN');
    });

    it('refuses one that does not name the one before', async () => {
      await replaced(2, await signControlEntry({ ...entries[2]!, previous: sha('a') }, test.keys.approver));
      await refused(2, 'CHAIN_BROKEN');
      await replaced(0, await signControlEntry({ ...entries[0]!, previous: sha('a') }, test.keys.approver));
      await refused(0, 'CHAIN_BROKEN');
    });

    it('refuses one of a stranger, and one of a key whose role does not allow it (M7, M8)', async () => {
      for (const signer of [newSigner(), test.keys.ingest, test.keys.publisher, test.keys.janitor]) {
        await replaced(2, await signControlEntry(entries[2]!, signer));
        await refused(2, 'STATEMENT_INVALID');
        await expect(test.reopened().control.head()).rejects.toMatchObject({ code: 'STATEMENT_INVALID' });
      }
    });

    it('refuses another predicate, an unknown kind, field or spelling (M12, M30)', async () => {
      const subject = [{ name: 'state', digest: { sha256: sha('a') } }];
      const predicates: [string, unknown][] = [
        ['https://headgate.dev/control-log/v2', entries[2]],
        ['https://headgate.dev/partition-log/v1', entries[2]],
        [CONTROL_PREDICATE, { ...entries[2], kind: 'repair' }],
        [CONTROL_PREDICATE, { ...entries[2], threshold: 2 }],
        [CONTROL_PREDICATE, { ...entries[2], ref: 'Main' }],
      ];
      for (const [type, predicate] of predicates) {
        await replaced(2, await sign(makeStatement(subject, type, predicate), test.keys.approver));
        await refused(2, 'STATEMENT_INVALID');
      }
    });

    it('refuses a cold start on a state that is missing or changed', async () => {
      const state = test.ledger.layout.state(entries[2]!.state);
      const own = await bytesOf(store, state);
      await overwrite(store, state, encodeState(EMPTY_STATE));
      await expect(cold().head()).rejects.toMatchObject({ code: 'DIGEST_MISMATCH', object: state });
      await store.delete(state);
      await expect(cold().head()).rejects.toMatchObject({ code: 'OBJECT_MISSING', object: state });
      await overwrite(store, state, own);
      await cold().head();
    });

    it('refuses a next entry that does not follow, to whoever knows the one before', async () => {
      const { newest, state } = await test.ledger.control.head();
      const next = {
        ...entries[1]!,
        seq: 3,
        previous: newest!.digest,
        state: stateDigest(applyAct(state, resume('main'), 3)),
      };
      const forgeries: [string, ControlEntry][] = [
        ['a fork', { ...next, previous: sha('a') }],
        ['a state of its own making', { ...next, state: stateDigest(EMPTY_STATE) }],
      ];
      for (const [what, entry] of forgeries) {
        await replaced(3, await signControlEntry(entry, test.keys.approver));
        await expect(test.ledger.control.head(), what).rejects.toMatchObject({ code: 'CHAIN_BROKEN', object: key(3) });
      }
      await replaced(3, await signControlEntry(next, test.keys.approver));
      expect((await test.ledger.control.head()).newest!.entry.seq).toBe(3);
    });

    it('refuses to publish on hold', async () => {
      await expect(
        test.act({ kind: 'publish', by, ref: 'main', parent: null, snapshot: sha('1') }),
      ).rejects.toMatchObject({
        code: 'CONFLICT',
      });
      await expect(
        test.act({ kind: 'publish', by, ref: 'beta', parent: sha('1'), snapshot: sha('2') }),
      ).rejects.toMatchObject({
        code: 'CONFLICT',
      });
    });

    it('refuses a publish that a key signs in spite of a hold (R3)', async () => {
      const { newest, state } = await test.ledger.control.head();
      const publish: ControlAct = { kind: 'publish', by, ref: 'main', parent: null, snapshot: sha('1') };
      const place = { pipeline: 'shop', seq: 3, previous: newest!.digest, time: entries[2]!.time };
      const entry = { ...publish, ...place, state: stateDigest(applyAct(state, publish, 3)) } as ControlEntry;
      await replaced(3, await signControlEntry(entry, test.keys.publisher));
      await expect(test.ledger.control.head()).rejects.toMatchObject({ code: 'CHAIN_BROKEN', object: key(3) });
    });
  });

  it('refuses to sign what no reader would accept, such as a ref of a forbidden name (R6)', async () => {
    const names = ['../x', '', 'x'.repeat(101), 'Main', 'mаin', 'a b', '.hidden', '-x', 'a/b', 'main\n'];
    for (const ref of names) {
      await expect(test.act(hold(ref)), ref).rejects.toMatchObject({ code: 'REQUEST_INVALID', name: 'RequestError' });
    }
    for (const act of [
      { ...hold('main'), reason: '' },
      { ...hold('main'), by: '' },
      { ...hold('main'), reason: 'x'.repeat(5_000) },
    ]) {
      await expect(test.act(act)).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    }
    await test.act(hold('x'.repeat(100)));
    expect((await cold().head()).newest!.entry.seq).toBe(0);
  });

  it('refuses to append an entry above the size cap: nobody could read on', async () => {
    const batches = Array.from({ length: 1_000 }, (_, slot) => ({ log: 'x'.repeat(300), slot, digest: sha('a') }));
    const verdict: ControlAct = {
      kind: 'verdict',
      by,
      batches,
      outcome: 'clean',
      baseline: sha('b'),
      evidence: sha('e'),
    };
    await expect(test.act(verdict)).rejects.toMatchObject({ code: 'SIZE_EXCEEDED', name: 'RequestError' });
    await test.act(hold('main'));
  });

  it('refuses a key that readers would refuse as a fault of the configuration, before it signs anything', async () => {
    for (const [wrong, why] of [
      [newSigner(), /does not name it, wanted approver/],
      [test.keys.ingest, /its role is ingest in the trust file, wanted approver/],
    ] as const) {
      const signed = vi.fn(wrong.sign.bind(wrong));
      const signer = { keyId: wrong.keyId, publicKeyPem: wrong.publicKeyPem, sign: signed };
      const appending = test.ledger.control.append(signer, () => hold('main'), never);
      const message = expect.stringMatching(why) as string;
      await expect(appending).rejects.toMatchObject({ code: 'TRUST_INVALID', name: 'ConfigError', message });
      expect(signed).not.toHaveBeenCalled();
    }
    expect((await cold().head()).newest).toBeNull();
  });

  it('lets each role do what is its own and nothing else', async () => {
    const topic = 'orders';
    const acts: ControlAct[] = [
      { kind: 'schema', by, topic, schema: sha('1'), reason },
      { kind: 'learn', by, topic, baseline: sha('2'), reason },
      { kind: 'approve', by, topic, baseline: sha('2'), reason },
      { kind: 'publish', by, ref: 'main', parent: null, snapshot: sha('3') },
      {
        kind: 'verdict',
        by,
        batches: [{ log: 'a/b/c', slot: 1, digest: sha('4') }],
        outcome: 'clean',
        baseline: sha('2'),
        evidence: sha('5'),
      },
      { kind: 'decision', by, batch: { log: 'a/b/c', slot: 1, digest: sha('4') }, outcome: 'released', reason },
      hold('beta'),
      resume('beta'),
      { kind: 'rollback', by, ref: 'main', from: sha('3'), to: sha('6'), baselines: {}, reason },
    ];
    const allowed: Record<string, string[]> = { ingest: [], publisher: [], approver: [], janitor: [] };
    for (const act of acts) {
      for (const role of ['ingest', 'publisher', 'approver', 'janitor'] as const) {
        const other = await TestLedger.open({ prepared: false });
        if (act.kind === 'rollback')
          await other.act({ kind: 'publish', by, ref: 'main', parent: null, snapshot: sha('3') });
        const appended = await other.ledger.control
          .append(other.keys[role], () => act, never)
          .then(
            () => true,
            () => false,
          );
        if (appended) allowed[role]!.push(act.kind);
      }
    }
    expect(allowed).toEqual({
      ingest: ['schema'],
      publisher: ['schema', 'learn', 'publish', 'verdict'],
      approver: ['schema', 'learn', 'approve', 'decision', 'hold', 'resume', 'rollback'],
      janitor: [],
    });
  });
});
