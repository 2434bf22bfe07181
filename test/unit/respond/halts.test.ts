import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';

import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { ERROR_CODES, HaltError, UnavailableError, type ConflictError, type ErrorCode } from '../../../src/errors.ts';
import type { LogHead } from '../../../src/ledger/log-head.ts';
import { formatLogId } from '../../../src/record/log-id.ts';
import { wayOutOf } from '../../../src/respond/error-remedies.ts';
import { HaltNotes, readHaltNotes } from '../../../src/respond/halt-notes.ts';
import { findHalts } from '../../../src/respond/halts.ts';
import { StoreDecorator } from '../../support/faulty-store.ts';
import { LeapingClock } from '../../support/leaping-clock.ts';
import { TestLedger, all, keysOf, never, partition } from '../../support/ledger.ts';

const a = partition(0);
const b = partition(1);

describe('halts', () => {
  let clock: LeapingClock;
  let test: TestLedger;
  let errors: Error[];
  const open = () => HaltNotes.open(test.reopened(), (error) => errors.push(error));
  const find = async () => {
    const ledger = test.reopened();
    const heads: LogHead[] = [];
    for (const log of await all(ledger.logs.list())) heads.push((await ledger.logs.head(log))!);
    return findHalts(ledger, heads, (await ledger.control.head()).state.resumed['main'] ?? -1);
  };

  beforeEach(async () => {
    clock = new LeapingClock();
    errors = [];
    test = await TestLedger.open({ clock });
  });

  it('are none where nothing has stopped', async () => {
    await test.commit(a);
    expect(await find()).toEqual([]);
  });

  it('by a rule are read from the log: since when, and the command that leads out, also after claims', async () => {
    const { entry } = await test.commit(a, { verdict: 'suspect', halts: true });
    await test.commit(b);
    await (await test.newWriter(a)).claim({ next: entry.end, label: null }, never);
    const wanted = { log: 'test/orders/0', code: 'RULE', since: entry.time, next: entry.end, source: 'log' };
    const message = expect.stringContaining(`(headgate quarantine show test/orders/0@${entry.end - 1} tells more)`);
    expect(await find()).toMatchObject([{ ...wanted, message, wayOut: 'headgate resume --reason TEXT' }]);
    await test.act({ kind: 'resume', by: 'a person', ref: 'main', reason: 'looked' });
    expect(await find()).toEqual([]);
  });

  it('for any other reason are what their process noted, with the way out that it named', async () => {
    const notes = await open();
    const { entry } = await test.commit(a);
    const since = new Date(clock.now()).toISOString();
    void notes.halted(
      a,
      new HaltError('GAP', 'Cannot go on (way out: set onGap: continue, which signs a gap)'),
      entry.end,
    );
    void notes.halted(b, new HaltError('CRC', 'Cannot read (offset 7)'), 0);
    await notes.settled();
    expect(await find()).toEqual([
      {
        log: 'test/orders/0',
        code: 'GAP',
        message: 'Cannot go on (way out: set onGap: continue, which signs a gap)',
        since,
        next: entry.end,
        wayOut: 'set onGap: continue, which signs a gap',
        source: 'process',
      },
      expect.objectContaining({
        log: 'test/orders/1',
        code: 'CRC',
        wayOut: expect.stringMatching(
          /^Mend the topic at the broker .*headgate init DIR --pipeline NAME.* start$/,
        ) as string,
      }),
    ]);
    expect(errors).toEqual([]);
  });

  it('are over once the partition is read on, by this process or the next', async () => {
    for (const isSame of [true, false]) {
      const notes = await open();
      void notes.halted(a, new HaltError('GAP', 'gone'), 0);
      await notes.settled();
      expect(await find()).toHaveLength(1);
      const next = isSame ? notes : await open();
      next.reading(b);
      next.reading(a);
      await next.settled();
      expect(await find()).toEqual([]);
    }
  });

  it('are over once the log has grown, but not when it was another deployment that wrote', async () => {
    const { entry } = await test.commit(a);
    const notes = await open();
    void notes.halted(a, new HaltError('GAP', 'gone'), entry.end);
    void notes.halted(b, new HaltError('FOREIGN_WRITER', 'someone else'), 0);
    await notes.settled();
    await test.commit(a);
    await test.commit(b);
    expect((await find()).map(({ log, code }) => [log, code])).toEqual([['test/orders/1', 'FOREIGN_WRITER']]);
  });

  it('at 0 are not over because the log has entries: it may not have been known where it stood', async () => {
    await test.commit(a);
    const notes = await open();
    void notes.halted(a, new HaltError('SLOT_MISSING', 'a hole'), 0);
    await notes.settled();
    expect((await find()).map(({ log, code }) => [log, code])).toEqual([['test/orders/0', 'SLOT_MISSING']]);
    notes.reading(a);
    await notes.settled();
    expect(await find()).toEqual([]);
  });

  it('over foreign writes are over once an entry follows of the deployment that gave way, and not of the other', async () => {
    await test.commit(a);
    const notes = await open();
    const ours = await test.newWriter(a, { deployment: 'elsewhere' });
    const halt = await ours.claim({ next: 0, label: null }, never).catch((error: unknown) => error as HaltError);
    void notes.halted(a, halt as HaltError, 2);
    await notes.settled();
    expect(await find()).toMatchObject([{ code: 'FOREIGN_WRITER', log: 'test/orders/0' }]);
    await test.commit(a);
    expect(await find()).toMatchObject([{ code: 'FOREIGN_WRITER' }]);
    const head = (await test.ledger.logs.head(a))!;
    expect(await readHaltNotes(test.ledger)).toMatchObject([
      { yielded: { slot: head.slot - 1, deployment: 'elsewhere' } },
    ]);
    const taken = { ...head, slot: head.slot + 1, deployment: 'elsewhere' };
    expect(await findHalts(test.ledger, [taken], -1)).toEqual([]);
  });

  it('over a partition that two processes took from each other are over once one of them reads on', async () => {
    await test.commit(a);
    const [first, second] = [await test.newWriter(a), await test.newWriter(a)];
    await first.claim({ next: 0, label: null }, never);
    await second.claim({ next: 0, label: null }, never);
    const fenced = (await test.commit(a, {}, first).catch((error: unknown) => error)) as ConflictError;
    expect(fenced).toMatchObject({ code: 'FENCED', fields: { slot: second.head!.slot } });
    const notes = await open();
    const fields = { ...fenced.fields, deployment: 'here' };
    void notes.halted(a, new HaltError('FOREIGN_WRITER', 'taken over three times', { fields }), 2);
    await notes.settled();
    expect(await find()).toMatchObject([{ code: 'FOREIGN_WRITER' }]);
    await test.commit(a, {}, second);
    expect(await find()).toEqual([]);
  });

  it('are not told for ever because a note could not be deleted: that is tried again while anything is read', async () => {
    let isAway = true;
    const store = new (class extends StoreDecorator {
      deletes = 0;
      override delete(key: string): Promise<void> {
        this.deletes++;
        if (!isAway) return super.delete(key);
        return Promise.reject(new UnavailableError('STORE_UNAVAILABLE', 'Cannot delete: planned fault'));
      }
    })(test.store);
    const notes = await HaltNotes.open(test.reopened(store), (error) => errors.push(error));
    for (const log of [a, b]) void notes.halted(log, new HaltError('GAP', 'gone'), 0);
    notes.reading(a);
    notes.gone(b, []);
    await notes.settled();
    for (let i = 0; i < 5; i++) notes.reading(a);
    await notes.settled();
    expect([store.deletes, errors.length]).toEqual([2, 2]);
    isAway = false;
    clock.advance(60_000);
    notes.reading(a);
    await notes.settled();
    expect([store.deletes, await find()]).toEqual([4, []]);
  });

  it('that come again are noted again, and not deleted because that failed before', async () => {
    let isAway = true;
    const store = new (class extends StoreDecorator {
      override delete(key: string): Promise<void> {
        if (!isAway) return super.delete(key);
        return Promise.reject(new UnavailableError('STORE_UNAVAILABLE', 'Cannot delete: planned fault'));
      }
    })(test.store);
    const notes = await HaltNotes.open(test.reopened(store), (error) => errors.push(error));
    void notes.halted(a, new HaltError('GAP', 'gone'), 0);
    notes.reading(a);
    // One that comes before, and one that comes after it is known that the delete failed.
    void notes.halted(a, new HaltError('CRC', 'broken'), 0);
    await notes.settled();
    notes.reading(a);
    await notes.settled();
    void notes.halted(a, new HaltError('ORDER', 'broken'), 0);
    isAway = false;
    clock.advance(60_000);
    notes.reading(b);
    await notes.settled();
    expect(await find()).toMatchObject([{ code: 'ORDER' }]);
  });

  it('are over once the partition is not there any more, but not those of other topics and clusters', async () => {
    const first = await open();
    const others = [partition(2, 'other'), { cluster: 'elsewhere', topic: a.topic, partition: '2' }];
    for (const log of [a, b, ...others]) void first.halted(log, new HaltError('SOURCE_CHANGED', 'changed'), 0);
    await first.settled();
    const next = await open();
    expect(next.gone(a, [b])).toEqual([formatLogId(a)]);
    expect(next.gone(a, [b])).toEqual([]);
    await next.settled();
    expect((await find()).map(({ log }) => log)).toEqual([b, ...others].map(formatLogId).toSorted());
  });

  it('keep their time when a process that was started again stops at the same place', async () => {
    const first = await open();
    void first.halted(a, new HaltError('GAP', 'gone'), 0);
    await first.settled();
    const { since } = (await find())[0]!;
    clock.advance(3_600_000);
    const second = await open();
    void second.halted(a, new HaltError('GAP', 'still gone'), 0);
    await second.settled();
    expect(await find()).toMatchObject([{ since, message: 'still gone' }]);
    void second.halted(a, new HaltError('GAP', 'still gone'), 5);
    await second.settled();
    expect((await find())[0]!.since).not.toBe(since);
  });

  it('have one time for the alert and the note, which a process that meets the same halt keeps', async () => {
    const gone = new HaltError('GAP', 'gone');
    const [first, other] = [await open(), await open()];
    const since = await first.halted(a, gone, 0);
    await first.settled();
    expect(await find()).toMatchObject([{ since }]);
    clock.advance(60_000);
    // The one that took the partition over was started before; the other has been started since.
    for (const notes of [first, other, await open()]) expect(await notes.halted(a, gone, 0)).toBe(since);
    expect(await other.halted(a, new HaltError('CRC', 'gone'), 0)).not.toBe(since);
  });

  it('have a new time when they come again after they were cleared, in this process or the next', async () => {
    const gone = new HaltError('GAP', 'gone');
    const times = new Set<string>();
    let notes = await open();
    for (const isSame of [true, true, false, false]) {
      times.add(await notes.halted(a, gone, 0));
      notes.reading(a);
      await notes.settled();
      clock.advance(60_000);
      if (!isSame) notes = await open();
    }
    expect(times.size).toBe(4);
  });

  it('have a time also where nobody can ask whether they were noted', async () => {
    const broken = new (class extends StoreDecorator {
      override get(): Promise<Buffer | null> {
        return Promise.reject(new UnavailableError('STORE_UNAVAILABLE', 'Cannot read: planned fault'));
      }
    })(new MemoryStore());
    const notes = await HaltNotes.open(test.reopened(broken), (error) => errors.push(error));
    const now = new Date(clock.now()).toISOString();
    expect(await notes.halted(a, new HaltError('GAP', 'gone'), 0)).toBe(now);
    expect(errors).toHaveLength(1);
  });

  it('leave nothing behind when they are over', async () => {
    const notes = await open();
    for (const log of [a, b]) void notes.halted(log, new HaltError('SOURCE_CHANGED', 'changed'), 0);
    notes.reading(a);
    notes.gone(b, []);
    await notes.settled();
    expect(await keysOf(test.store, test.ledger.layout.haltHints())).toEqual([]);
  });

  it('are not "none" where the store is away: that is told', async () => {
    const broken = new (class extends StoreDecorator {
      override get(): Promise<Buffer | null> {
        return Promise.reject(new UnavailableError('STORE_UNAVAILABLE', 'Cannot read: planned fault'));
      }
    })(test.store);
    await test.store.put(test.ledger.layout.haltHint(a), Buffer.from(note({})));
    await expect(readHaltNotes(test.reopened(broken))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  it('are read sixteen at a time, in the order of their keys', async () => {
    let [reading, most] = [0, 0];
    const slow = new (class extends StoreDecorator {
      override async get(key: string, bytesMax: number): Promise<Buffer | null> {
        most = Math.max(most, ++reading);
        await new Promise(setImmediate);
        reading--;
        return this.inner.get(key, bytesMax);
      }
    })(test.store);
    const logs = Array.from({ length: 40 }, (_, i) => partition(i));
    for (const log of logs)
      await test.store.put(test.ledger.layout.haltHint(log), Buffer.from(note({ log: formatLogId(log) })));
    const found = (await readHaltNotes(test.reopened(slow))).map(({ log }) => log);
    expect(found).toEqual(logs.map(formatLogId).toSorted());
    expect(most).toBe(16);
  });

  it('that the log says come before those that anyone has noted of it', async () => {
    await test.commit(a, { verdict: 'suspect', halts: true });
    const key = test.ledger.layout.haltHint(a);
    await test.store.put(key, Buffer.from(note({ next: 1_000_000 })));
    expect((await find()).map(({ code, source }) => [code, source])).toEqual([
      ['RULE', 'log'],
      ['GAP', 'process'],
    ]);
    await test.store.put(key, Buffer.from(note({ code: 'RULE', next: 1_000_000 })));
    expect(await find()).toMatchObject([{ code: 'RULE', source: 'log' }]);
  });

  it('by a rule are not noted: the log is believed', async () => {
    const notes = await open();
    void notes.halted(a, new HaltError('RULE', 'broken'), 0);
    notes.reading(a);
    await notes.settled();
    expect(await keysOf(test.store, test.ledger.layout.haltHints())).toEqual([]);
  });

  it('do not stop the process when they cannot be noted', async () => {
    const broken = new (class extends StoreDecorator {
      override put(): Promise<void> {
        return Promise.reject(new UnavailableError('STORE_UNAVAILABLE', 'Cannot write: planned fault'));
      }
    })(new MemoryStore());
    const notes = await HaltNotes.open(test.reopened(broken), (error) => errors.push(error));
    void notes.halted(a, new HaltError('GAP', 'gone'), 0);
    await notes.settled();
    expect(errors).toHaveLength(1);
  });

  it.each([
    ['no JSON', '{'],
    ['nothing', 'null'],
    ['another shape', '{"halt":{"code":"GAP"}}'],
    ['an unknown code', note({ code: 'FINE' })],
    ['a log that is none', note({ log: '../x' })],
    ['another log than its key', note({ log: 'test/orders/7' })],
    ['a time that is none', note({ since: 'yesterday' })],
    ['too large', note({}).padEnd(1_000_000)],
    ['said to be of a rule', note({ code: 'RULE' })],
  ])('are not made up from a note that is %s', async (_, text) => {
    await test.store.put(test.ledger.layout.haltHint(a), Buffer.from(text));
    expect(await find()).toEqual([]);
    await test.store.put(test.ledger.layout.haltHint(a), Buffer.from(note({})));
    expect(await find()).toHaveLength(1);
  });

  it('can be noted of any log, whatever it is called and whatever the message says', async () => {
    const hostile = fc.string({ unit: 'binary', maxLength: 249 });
    await fc.assert(
      fc.asyncProperty(
        fc.record({ cluster: hostile, topic: hostile, partition: hostile }),
        fc.string({ unit: 'binary', maxLength: 3_000 }),
        async (log, message) => {
          const fresh = test.reopened(new MemoryStore());
          const notes = await HaltNotes.open(fresh, (error) => errors.push(error));
          void notes.halted(log, new HaltError('ORDER', message), 3);
          await notes.settled();
          const fits = formatLogId(log).length <= 4_096;
          expect((await readHaltNotes(fresh)).map((found) => found.log)).toEqual(fits ? [formatLogId(log)] : []);
        },
      ),
      { numRuns: 60 },
    );
    expect(errors).toEqual([]);
  });
});

function note(change: Record<string, unknown>): string {
  const sound = { log: 'test/orders/0', code: 'GAP', message: 'gone', next: 0, since: '2026-11-21T10:00:00.000Z' };
  return JSON.stringify({ halt: { ...sound, ...change } });
}

describe('the way out of an error that names none itself', () => {
  it.each(Object.keys(ERROR_CODES) as ErrorCode[])('is a sentence for a terminal: %s', (code) => {
    expect(wayOutOf(code)).toMatch(/^[A-Z][^`\n]{8,}[^.`\n]$/);
  });

  it('of a topic that was made again is a new pipeline or a new topic, for nothing else is left', () => {
    expect(wayOutOf('LOG_TRUNCATED')).toMatch(
      /set up a new pipeline .*consumer group of its own.* under a new topic name/,
    );
  });
});
