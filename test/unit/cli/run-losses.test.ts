import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { RunLosses } from '../../../src/cli/run-losses.ts';
import type { JudgedBatch } from '../../../src/ingest/judge-batch.ts';
import { runHere } from '../../support/in-process.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const PAGE = 'docs/reference/dead-letters.md';
const SCHEMA_WAY =
  'write the type that headgate schema show has, or configure another and headgate schema pin it, and send these records again';

function batch(
  records: number,
  judged: Partial<Pick<JudgedBatch, 'deadLetterCauses' | 'extraFields'>>,
  topic = 'orders',
): Parameters<RunLosses['add']>[0] {
  const { deadLetterCauses = [], extraFields = [] } = judged;
  return {
    log: { cluster: 'c', topic, partition: '0' },
    records,
    deadLetters: deadLetterCauses.reduce((sum, cause) => sum + cause.records, 0),
    judged: { deadLetterCauses, extraFields } as unknown as JudgedBatch,
  };
}

const amount = (records: number, offset: number) =>
  ({ reason: 'wrong-type', column: 'amount', records, offset }) as const;

describe('what a run keeps beside the columns', () => {
  it('is told by topic, with the cause, one record and the ways out', () => {
    const losses = new RunLosses();
    losses.add(batch(1_000, {}));
    expect([losses.lines(), losses.totals()]).toEqual([[], []]);
    losses.add(batch(1_000, { deadLetterCauses: [amount(300, 1_500)] }));
    losses.add(
      batch(1_000, {
        deadLetterCauses: [amount(40, 2_000), { reason: 'syntax', column: null, records: 2, offset: 2_100 }],
      }),
    );
    losses.add(batch(10, { deadLetterCauses: [{ reason: 'empty', column: null, records: 1, offset: 3 }] }, 'returns'));
    expect(losses.lines()).toEqual([
      'topic "orders": 342 of 3,000 records (11.4 %) do not decode and are in no row: 340 for wrong-type in column "amount", 2 for syntax; such as headgate quarantine show c/orders/0@1500',
      `  mend: ${SCHEMA_WAY} (${PAGE})`,
      'topic "returns": 1 of 10 records (10 %) do not decode and are in no row: 1 for empty; such as headgate quarantine show c/returns/0@3',
      `  mend: mend what writes them, and send these records again (${PAGE})`,
    ]);
    expect(losses.totals()[0]).toMatchObject({
      topic: 'orders',
      records: 3_000,
      deadLetters: 342,
      causes: [{ reason: 'wrong-type', column: 'amount', records: 340, offset: 1_500, log: 'c/orders/0' }, {}],
    });
  });

  it('is told of fields outside of the schema, in one line a topic', () => {
    const losses = new RunLosses();
    losses.add(batch(9, { extraFields: [{ path: 'extra', rows: 4 }] }));
    losses.add(batch(9, { extraFields: [{ path: 'extra', rows: 1 }] }));
    expect(losses.lines()).toEqual([
      'topic "orders": field "extra" is in 5 rows and not in the pinned schema: it is kept in the raw record, in no column (headgate schema pin makes a column of it: docs/operating/schema.md)',
    ]);
    losses.add(batch(9, { extraFields: ['a', 'b', 'c', 'd'].map((path, i) => ({ path, rows: 9 - i })) }));
    expect(losses.lines()[0]).toContain('fields "a" (9 rows), "b" (8 rows), "c" (7 rows) and 2 more are not in');
  });

  it('is bounded, whatever names producers choose', () => {
    const losses = new RunLosses();
    for (let i = 0; i < 300; i++) losses.add(batch(1, { extraFields: [{ path: `f${i}`, rows: 1 }] }));
    const [{ extraFields }] = losses.totals() as [ReturnType<RunLosses['totals']>[number]];
    expect(extraFields).toHaveLength(101);
    expect(extraFields.at(-1)!.path).toBe('…');
  });

  it('is news once a topic, for processes without an end', () => {
    const losses = new RunLosses();
    const dead = batch(9, { deadLetterCauses: [amount(1, 5)], extraFields: [{ path: 'extra', rows: 4 }] });
    expect(losses.add(dead)).toHaveLength(3);
    expect(losses.add(dead)).toEqual([]);
  });
});

describe('records that do not decode', () => {
  it('are told by every command that counts records, with the column and what leads out', async () => {
    const folder = await temporaryFolder();
    const write = (name: string, from: number, value: (i: number) => string): Promise<void> =>
      writeFile(
        join(folder, name),
        Array.from({ length: 60 }, (_, i) => `{"k":${from + i},"amount":${value(from + i)}}\n`).join(''),
      );
    await write('a.ndjson', 0, (i) => String(i % 7));
    const say = async (...args: string[]): Promise<string> => (await runHere(folder, ...args)).stdout;
    const json = async (...args: string[]): Promise<unknown> => JSON.parse(await say(...args, '--json'));
    await say('init', '.', '--files', '*.ndjson', '--pipeline', 'shop');
    expect(await json('run', '--once')).toMatchObject({ records: 60, deadLetters: 0, losses: [] });
    await write('b.ndjson', 60, (i) => (i % 3 === 0 ? '2' : '1.5'));
    expect(await json('run', '--once')).toMatchObject({
      deadLetters: 40,
      losses: [{ topic: 'shop', records: 60, deadLetters: 40, causes: [{ column: 'amount', records: 40, offset: 1 }] }],
    });
    const learned = await say('baseline', 'learn', '--held', '--reason', 'r');
    expect(learned).toContain('from 80 rows of 120 records in 2 batches');
    const warning =
      'warning: 40 of 120 records (33.3 %) do not decode, which is usual by this baseline, up to 66.7 % of a batch: 40 for wrong-type in column "amount"';
    expect(learned).toContain(`${warning}\n  mend: ${SCHEMA_WAY}`);
    expect(await say('baseline', 'approve', '--reason', 'r')).toContain(warning);
    expect(await say('baseline', 'show')).toContain(warning);
    expect(await say('status')).toMatch(/held {6}2 no-baseline \(40 dead letters\)\n/);
    for (const name of ['a', 'b']) await say('quarantine', 'release', `file/shop/${name}.ndjson@0`, '--reason', 'r');
    await say('publish', '--once');
    expect(await json('gate', 'main')).toMatchObject({ verdict: 'pass', records: 80, deadLetters: 40 });
    expect(await say('gate', 'main')).toMatch(
      /80 records in 2 batches \(40 more are dead letters\)\n {2}warning: 33.3 % of the records of its batches do not decode/,
    );
    expect(await json('pull', 'main', 'out')).toMatchObject({ records: 80, deadLetters: 40 });
    expect(await json('status')).toMatchObject({
      records: 80,
      deadLetters: 40,
      heldDeadLetters: 0,
      logs: [{ deadLetters: 0 }, { deadLetters: 40 }],
    });
    expect(await say('status')).toMatch(
      /80 records in 2 batches \(40 more are dead letters\)[^]* {2}40 dead letters\n/,
    );
    expect(await say('log', 'file/shop/b.ndjson')).toContain('60 records (40 dead letters), undecided');
    expect(await say('verify')).toContain('120 records (40 dead letters)');
    expect(await say('quarantine', 'show', 'file/shop/b.ndjson@7')).toContain(
      `40 dead letters\n           40 for wrong-type in column "amount", such as offset 1\n           mend: ${SCHEMA_WAY}`,
    );
  });
});
