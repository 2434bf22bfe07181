import fc from 'fast-check';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { parquetFormat } from '../../../src/adapters/parquet/format.ts';
import type { LoggedBatch } from '../../../src/ledger/partition-log.ts';
import { formatBatchLine, type Snapshot } from '../../../src/ledger/snapshot.ts';
import type { Signer } from '../../../src/ports/signer.ts';
import { formatLogId } from '../../../src/record/log-id.ts';
import { decide, findBatch } from '../../../src/respond/decisions.ts';
import { hold, rollback } from '../../../src/respond/refs.ts';
import { verifyPipeline } from '../../../src/respond/verify.ts';
import { TestLedger, all, keysOf, never, newSigner, partition } from '../../support/ledger.ts';

const a = partition(0);
const b = partition(1);
type Outcome = 'released' | 'condemned';

const refused = (why: RegExp) => ({ code: 'REQUEST_INVALID', message: expect.stringMatching(why) as string });

describe('finding a batch', () => {
  let test: TestLedger;
  let clean: LoggedBatch;
  let held: LoggedBatch;
  let fresh: LoggedBatch;
  const find = (id: string, ref = 'main') => findBatch(test.ledger, ref, id);

  beforeAll(async () => {
    test = await TestLedger.open();
    clean = await test.commit(a, {
      records: [
        { offset: 0, value: '{"id":1}' },
        { offset: 4, value: '{"id":2}' },
      ],
    });
    held = await test.commit(a, { verdict: 'suspect' });
    await test.publisher().publish(never);
    fresh = await test.commit(a);
  });

  describe('by its digest', () => {
    it('takes six digits or more, of a published or a held one', async () => {
      for (const batch of [clean, held]) {
        for (const digits of [6, 7, 32, 63, 64]) expect(await find(batch.digest.slice(0, digits))).toEqual(batch);
      }
    });

    it.each<[string, (digest: string) => string]>([
      ['five digits', (digest) => digest.slice(0, 5)],
      ['nothing', () => ''],
      ['one digit too many', (digest) => `${digest}0`],
      ['capitals', () => held.digest.toUpperCase().replace(/^[^A-F]*/, 'A')],
      ['a space before it', (digest) => ` ${digest}`],
      ['a line break after it', (digest) => `${digest}\n`],
      ['the middle of it', (digest) => digest.slice(1, 20)],
      ['a pattern', (digest) => `${digest.slice(0, 6)}.*`],
      ['an unknown one', (digest) => digest.slice(0, -1) + (digest.endsWith('0') ? '1' : '0')],
    ])('finds nothing by %s', async (_, idOf) => {
      await expect(find(idOf(held.digest))).rejects.toMatchObject({
        code: 'NOT_FOUND',
        message: expect.stringMatching(/^Cannot find batch/) as string,
      });
    });

    it('finds nothing that no snapshot lists yet, and nothing in a ref that was never published', async () => {
      await expect(find(fresh.digest)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      for (const ref of ['beta', 'constructor', '__proto__'])
        await expect(find(held.digest, ref)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });

    it('does not guess which of several is meant', async () => {
      const other = await TestLedger.open();
      await publishLines(other, ['abcdef01', 'abcdef02'], ['abcdef03', 'abcde100']);
      const findOther = (id: string) => findBatch(other.ledger, 'main', id);
      for (const id of ['abcdef', 'abcdef0'])
        await expect(findOther(id)).rejects.toMatchObject({
          code: 'NOT_FOUND',
          message: `Cannot tell which batch "${id}" is: 3 begin with it`,
        });
      // One alone matches; but no log has such an entry, and what a snapshot says is not believed.
      await expect(findOther('abcdef03')).rejects.toMatchObject({ code: 'SLOT_MISSING' });
    });
  });

  describe('by LOG@OFFSET', () => {
    const at = (offset: number | string) => `test/orders/0@${offset}`;

    it('takes any offset that the batch covers, also one without a record', async () => {
      for (const offset of [0, 1, 3, 4, '0004']) expect(await find(at(offset))).toEqual(clean);
      for (const offset of [5, 6]) expect(await find(at(offset))).toEqual(held);
    });

    it('finds what no snapshot lists yet, whatever the ref is', async () => {
      expect(await find(at(7))).toEqual(fresh);
      expect(await find(at(7), 'beta')).toEqual(fresh);
    });

    it('finds it in a log whose name is full of @ and /', async () => {
      const odd = { cluster: 'te@st', topic: 'a@b/c', partition: '@' };
      const batch = await test.commit(odd);
      expect(await find(`${formatLogId(odd)}@1`)).toEqual(batch);
      await expect(find('te@st/a@b/c/@@1')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });

    it.each([
      ['no offset', ''],
      ['a space', ' '],
      ['a negative offset', '-1'],
      ['minus zero', '-0'],
      ['a sign', '+0'],
      ['an exponent', '1e3'],
      ['an exponent of a covered offset', '1e0'],
      ['a fraction', '0.0'],
      ['another base', '0x0'],
      ['a big integer', '0n'],
      ['a separator', '1_0'],
      ['digits of another script', '\u{660}'],
      ['a space before it', ' 0'],
      ['a space after it', '0 '],
      ['a line break after it', '0\n'],
      ['a name', 'Infinity'],
      ['two offsets', '0-4'],
      ['the first offset beyond the log', '9'],
      ['an offset far beyond', '9007199254740991'],
      ['an offset beyond all integers', '9007199254740992'],
      ['an offset of a hundred digits', '9'.repeat(100)],
    ])('finds nothing by %s', async (_, offset) => {
      await expect(find(at(offset))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });

    it.each([
      '@0',
      '0',
      'orders/0@0',
      'test/orders@0',
      'test/orders/0/@0',
      'test/orders/1@0',
      'test/orders/0 @0',
      '../..@0',
    ])('finds nothing in a log that does not exist: %s', async (id) => {
      await expect(find(id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });
  });

  it('answers any text with the batch that it names, or that there is none', async () => {
    const parts = fc.constantFrom(
      'test/orders/0',
      '@',
      '0',
      '5',
      '-',
      'e',
      ' ',
      held.digest,
      held.digest.slice(0, 6),
      '/',
    );
    const ids = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 30 }),
      fc.array(parts).map((chosen) => chosen.join('')),
    );
    await fc.assert(
      fc.asyncProperty(ids, async (id) => {
        const found = await find(id).catch((error: unknown) => {
          expect(error).toMatchObject({ code: 'NOT_FOUND' });
          return null;
        });
        if (found === null) return;
        const [log, offset] = id.split('@');
        const isMeant =
          offset === undefined
            ? found.digest.startsWith(id) && id.length >= 6
            : log === formatLogId(found.log) && found.entry.start <= Number(offset) && Number(offset) < found.entry.end;
        expect(isMeant, id).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  /** Publishes a snapshot that lists batches with digests that begin like this. */
  async function publishLines(to: TestLedger, published: string[], kept: string[]): Promise<void> {
    const { control, snapshots } = to.ledger;
    await to.commit(a);
    await to.publisher().publish(never);
    const parent = (await control.head()).state.refs['main']!;
    const base = await to.snapshot();
    const sequence = (digests: readonly string[]) => {
      const changes = digests.map((digest, i) => {
        const line = { log: 'test/orders/5', start: 2 * i, end: 2 * i + 2, slot: i, epoch: 0, records: 2, rows: 2 };
        const text = formatBatchLine({ ...line, digest: digest.padEnd(64, '0'), data: null, standing: 'clean' });
        return { key: ['test/orders/5', 2 * i] as const, line: text };
      });
      return snapshots.update(base.held, changes, never);
    };
    const changed = { batches: await sequence(published), held: await sequence(kept) } as Pick<
      Snapshot,
      'batches' | 'held'
    >;
    const snapshot = await snapshots.write({ ...base, ...changed, parent }, never);
    await to.act({ kind: 'publish', by: 'publisher', ref: 'main', parent, snapshot });
  }
});

describe('deciding on a batch', () => {
  let test: TestLedger;
  const decideOn = (batch: LoggedBatch, outcome: Outcome, ledger = test.ledger) =>
    decide(ledger, 'main', `${formatLogId(batch.log)}@${batch.entry.start}`, outcome, test.person(), never);
  const publish = () => test.publisher().publish(never);
  /** Outcomes of all decisions so far, in order. */
  const decided = async (): Promise<Outcome[]> =>
    (await all(test.reopened().control.walk())).flatMap(({ entry }) =>
      entry.kind === 'decision' ? [entry.outcome] : [],
    );
  const standing = async ({ digest }: LoggedBatch) =>
    ({ ...(await test.standings('batches')), ...(await test.standings('held')) })[digest];
  const isPublished = async ({ digest }: LoggedBatch) => digest in (await test.standings('batches'));

  beforeEach(async () => {
    test = await TestLedger.open();
  });

  it('signs who decided what, on which batch, and why', async () => {
    const held = await test.commit(a, { verdict: 'suspect' });
    await publish();
    const actor = { signer: test.keys.approver, by: 'Ada', reason: 'looked at every row' };
    const report = await decide(test.ledger, 'main', held.digest, 'released', actor, never);
    const target = { log: 'test/orders/0', slot: held.entry.slot, digest: held.digest };
    expect(report).toEqual({ ...target, outcome: 'released', unchanged: false });
    const { newest, state } = await test.reopened().control.head();
    expect(newest!.keyId).toBe(test.keys.approver.keyId);
    expect(newest!.entry).toMatchObject({
      kind: 'decision',
      by: 'Ada',
      reason: 'looked at every row',
      batch: target,
      outcome: 'released',
    });
    expect(state.decisions).toEqual({
      [held.digest]: { outcome: 'released', seq: newest!.entry.seq, log: target.log, slot: target.slot },
    });
  });

  it('changes nothing by itself: the next publish carries it out', async () => {
    const held = await test.commit(a, { verdict: 'suspect' });
    const clean = await test.commit(a);
    await publish();
    const before = (await test.ledger.control.head()).state.refs;
    await decideOn(held, 'released');
    await decideOn(clean, 'condemned');
    expect((await test.ledger.control.head()).state.refs).toEqual(before);
    await publish();
    expect(await test.standings('batches')).toEqual({ [held.digest]: 'released' });
    expect(await test.standings('held')).toEqual({ [clean.digest]: 'condemned' });
  });

  it.each(['suspect', 'failed', 'small', 'no-baseline'] as const)(
    'lets a batch in that is held as %s',
    async (verdict) => {
      const held = await test.commit(a, { verdict });
      const publisher = test.publisher(async () => null);
      await publisher.publish(never);
      expect(await isPublished(held)).toBe(false);
      await decideOn(held, 'released');
      await publisher.publish(never);
      expect(await standing(held)).toBe('released');
      expect(await isPublished(held)).toBe(true);
    },
  );

  it.each(['released', 'condemned'] as const)(
    'is signed once when a batch is %s, however often and whenever it is asked for',
    async (outcome) => {
      const held = await test.commit(a, { verdict: 'suspect' });
      expect(await decideOn(held, outcome)).toMatchObject({ outcome, unchanged: false });
      expect(await decideOn(held, outcome)).toMatchObject({ outcome, unchanged: true });
      await publish();
      expect(await decideOn(held, outcome)).toMatchObject({ outcome, unchanged: true });
      await test.commit(a);
      await publish();
      expect(await decideOn(held, outcome)).toMatchObject({ outcome, unchanged: true });
      expect(await decided()).toEqual([outcome]);
    },
  );

  it('may be taken back: the newest decision counts, before a publish and after it', async () => {
    const held = await test.commit(a, { verdict: 'suspect' });
    await decideOn(held, 'released');
    await decideOn(held, 'condemned');
    await publish();
    expect(await standing(held)).toBe('condemned');
    await decideOn(held, 'released');
    await publish();
    expect([await standing(held), await isPublished(held)]).toEqual(['released', true]);
    await decideOn(held, 'condemned');
    await publish();
    expect([await standing(held), await isPublished(held)]).toEqual(['condemned', false]);
    await decideOn(held, 'released');
    await decideOn(held, 'condemned');
    await decideOn(held, 'released');
    await publish();
    expect([await standing(held), await isPublished(held)]).toEqual(['released', true]);
    expect((await verify()).problems).toEqual([]);
  });

  it('is refused for a clean batch that needs no release, unless the ref is on hold', async () => {
    const published = await test.commit(a);
    await publish();
    const fresh = await test.commit(a);
    for (const clean of [published, fresh])
      await expect(decideOn(clean, 'released')).rejects.toMatchObject(refused(/it is clean and needs no release/));
    await hold(test.ledger, 'main', test.person(), never);
    await decideOn(fresh, 'released');
    expect(await decided()).toEqual(['released']);
  });

  it('takes up a batch again whose release a rollback has voided', async () => {
    await test.commit(b);
    await publish();
    const target = (await test.ledger.control.head()).state.refs['main']!;
    const held = await test.commit(a, { verdict: 'suspect' });
    await decideOn(held, 'released');
    await publish();
    await rollback(test.ledger, 'main', target, test.person(), never);
    await decideOn(held, 'released');
    expect(await decided()).toEqual(['released', 'released']);
    expect(await decideOn(held, 'released')).toMatchObject({ unchanged: true });
  });

  it('keeps a batch condemned through a rollback', async () => {
    await test.commit(b);
    await publish();
    const target = (await test.ledger.control.head()).state.refs['main']!;
    const bad = await test.commit(a);
    await publish();
    await decideOn(bad, 'condemned');
    await publish();
    await rollback(test.ledger, 'main', target, test.person(), never);
    expect(await decideOn(bad, 'condemned')).toMatchObject({ unchanged: true });
    expect((await test.ledger.control.head()).state.decisions[bad.digest]).toMatchObject({ outcome: 'condemned' });
  });

  it('counts once when two people decide the same at once', async () => {
    const held = await test.commit(a, { verdict: 'suspect' });
    await publish();
    const people = [test.reopened(), test.reopened(), test.reopened()];
    const results = await Promise.all(people.map((ledger) => decideOn(held, 'released', ledger)));
    expect(results.filter(({ unchanged }) => !unchanged)).toHaveLength(1);
    expect(await decided()).toEqual(['released']);
  });

  it('has exactly one outcome when two people decide against each other at once (P15)', async () => {
    const held = await test.commit(a, { verdict: 'suspect' });
    await publish();
    const [one, other] = [test.reopened(), test.reopened()];
    await Promise.all([decideOn(held, 'released', one), decideOn(held, 'condemned', other)]);
    const outcome = (await decided()).at(-1)!;
    expect(await decided()).toHaveLength(2);
    await publish();
    expect([await standing(held), await isPublished(held)]).toEqual([outcome, outcome === 'released']);
    expect((await verify()).problems).toEqual([]);
  });

  it('is refused when it is signed by a key of another role, or by a stranger, and leaves no trace', async () => {
    const held = await test.commit(a, { verdict: 'suspect' });
    await publish();
    const before = await keysOf(test.store);
    const signers: Signer[] = [test.keys.ingest, test.keys.publisher, test.keys.janitor, newSigner()];
    for (const signer of signers) {
      const deciding = decide(test.ledger, 'main', held.digest, 'released', { ...test.person(), signer }, never);
      await expect(deciding).rejects.toMatchObject({ code: 'TRUST_INVALID' });
    }
    expect(await keysOf(test.store)).toEqual(before);
    expect(await decided()).toEqual([]);
  });

  it('is refused without a reason or a name, or with an endless one', async () => {
    const held = await test.commit(a, { verdict: 'suspect' });
    const decideAs = (by: string, reason: string) =>
      decide(test.ledger, 'main', 'test/orders/0@0', 'condemned', { signer: test.keys.approver, by, reason }, never);
    await expect(decideAs('Ada', '')).rejects.toMatchObject(refused(/"reason"/));
    await expect(decideAs('', 'poison')).rejects.toMatchObject(refused(/"by"/));
    await expect(decideAs('Ada', 'x'.repeat(4_097))).rejects.toMatchObject(refused(/"reason"/));
    await decideAs('Ada\n', 'x'.repeat(4_096));
    expect((await test.ledger.control.head()).state.decisions).toHaveProperty(held.digest);
  });

  it('does not believe a snapshot whose page was changed to name another batch', async () => {
    const held = await test.commit(a, { verdict: 'suspect' });
    await publish();
    const page = test.ledger.layout.page((await test.snapshot()).held.pages[0]!.sha256);
    await test.store.put(page, Buffer.from('["test/orders/0",0,2,0,0,"0"]\n'));
    const deciding = decide(test.reopened(), 'main', held.digest, 'released', test.person(), never);
    await expect(deciding).rejects.toMatchObject({ code: 'DIGEST_MISMATCH', object: page });
    expect(await decided()).toEqual([]);
  });

  function verify() {
    return verifyPipeline(test.reopened(), { deep: false, format: parquetFormat, signal: never });
  }
});
