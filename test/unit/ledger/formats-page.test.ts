import { readFileSync } from 'node:fs';

import { beforeAll, describe, expect, it } from 'vitest';

import { nextSeq } from '../../../src/ledger/control-log.ts';
import { formatBatchLine, type BatchLine } from '../../../src/ledger/snapshot.ts';
import { refOf } from '../../../src/publish/reconsider.ts';
import { sha256Hex } from '../../../src/record/sha256.ts';
import { TestLedger, never, partition } from '../../support/ledger.ts';

const PAGE = readFileSync(new URL('../../../docs/formats.md', import.meta.url), 'utf8');

/** Names in backquotes within a text. */
const namesIn = (text: string): string[] => [...text.matchAll(/`([\w-]+)`/g)].map(([, name]) => name!);

/** What stands between two headings. */
function section(heading: string): string {
  const from = PAGE.indexOf(`### ${heading}`);
  const to = PAGE.indexOf('\n### ', from + 1);
  return PAGE.slice(from, to === -1 ? undefined : to);
}

/** Kind → names in the given columns of a table's rows; a row without a kind belongs to the one above. */
function rowsOf(text: string, columns: readonly number[]): Map<string, string[]> {
  const kinds = new Map<string, string[]>();
  let kind = '';
  for (const line of text
    .split('\n')
    .filter((each) => each.startsWith('| '))
    .slice(2)) {
    const cells = line.split('|').map((cell) => cell.trim());
    kind = namesIn(cells[1]!)[0] ?? kind;
    kinds.set(kind, [...(kinds.get(kind) ?? []), ...columns.flatMap((column) => namesIn(cells[column]!))]);
  }
  return kinds;
}

describe('docs/formats.md names every field', () => {
  let test: TestLedger;

  beforeAll(async () => {
    test = await TestLedger.open();
    const writer = await test.newWriter(partition(0));
    await test.commit(partition(0), {}, writer);
    const { next } = writer.head!;
    await writer.commit({ kind: 'gap', start: next, end: next + 1, reason: 'retention' }, never);
    const batch = await test.commit(partition(0), { verdict: 'suspect' }, writer);
    await test.publisher().publish(never);
    const baseline = (await test.ledger.control.head()).state.baselines['orders']!;
    const evidence = sha256Hex(Buffer.from('evidence'));
    await test.act({ kind: 'verdict', by: 'publisher', batches: [refOf(batch)], outcome: 'clean', baseline, evidence });
    await test.decide(batch, 'released');
    const from = (await test.ledger.control.head()).state.refs['main']!;
    await test.publisher().publish(never);
    const to = (await test.ledger.control.head()).state.refs['main']!;
    await test.act({ kind: 'hold', by: 'a person', ref: 'main', reason: 'looking' });
    await test.act({ kind: 'resume', by: 'a person', ref: 'main', reason: 'looked' });
    const baselines = { orders: baseline };
    await test.act({
      kind: 'rollback',
      by: 'a person',
      ref: 'main',
      from: to,
      to: from,
      baselines,
      reason: 'x',
    });
  });

  it('of the entries of a partition log', async () => {
    const text = section('Entries of a partition log');
    const common = namesIn(text.slice(0, text.indexOf('| kind')));
    const rows = rowsOf(text, [2]);
    const seen = new Set<string>();
    for await (const { verified } of test.ledger.logs.walk(partition(0), null)) {
      const { entry } = verified;
      seen.add(entry.kind);
      expect(Object.keys(entry).sort()).toEqual([...common, ...rows.get(entry.kind)!].sort());
    }
    expect([...seen, 'close'].sort()).toEqual([...rows.keys()].sort());
  });

  it('of the entries of the control log', async () => {
    const text = section('Entries of the control log');
    const common = namesIn(text.slice(0, text.indexOf('`kind`') + 6));
    const rows = rowsOf(text, [3]);
    const seen = new Set<string>();
    for (let seq = 0; seq < nextSeq(await test.ledger.control.head()); seq++) {
      const { entry } = (await test.ledger.control.read(seq))!;
      seen.add(entry.kind);
      expect(Object.keys(entry).sort()).toEqual([...common, ...rows.get(entry.kind)!].sort());
    }
    expect([...seen].sort()).toEqual([...rows.keys()].sort());
  });

  it('of snapshots, lines and states', async () => {
    const text = section('Snapshots');
    const snapshot = await test.snapshot();
    const { state } = await test.ledger.control.head();
    const named = new Set(namesIn(text));
    const [page] = snapshot.batches.pages;
    for (const each of [snapshot, snapshot.batches, page!, state])
      expect(Object.keys(each).filter((name) => !named.has(name))).toEqual([]);
    expect(
      ['clean', 'suspect', 'no-baseline', 'small', 'failed', 'released', 'condemned'].filter(
        (name) => !named.has(name),
      ),
    ).toEqual([]);
    // The table lists a line's elements in order.
    const elements = text
      .split('\n')
      .find((line) => line.startsWith('| `batches`, `held` |'))!
      .split('|')[2]!;
    const line = (await test.ledger.snapshots.batches(snapshot.batches).next()).value as BatchLine;
    expect((JSON.parse(formatBatchLine(line)) as unknown[]).length).toBe(
      elements.replace('SHA-256 and bytes', 'SHA-256, bytes').split(',').length,
    );
  });
});
