import { beforeEach, describe, expect, it } from 'vitest';

import { parquetFormat } from '../../../src/adapters/parquet/format.ts';
import { nextSeq } from '../../../src/ledger/control-log.ts';
import type { LoggedBatch } from '../../../src/ledger/partition-log.ts';
import { formatBatchLine } from '../../../src/ledger/snapshot.ts';
import type { Rejudge } from '../../../src/publish/reconsider.ts';
import { resume, rollback } from '../../../src/respond/refs.ts';
import { verifyPipeline } from '../../../src/respond/verify.ts';
import { never, partition, TestLedger } from '../../support/ledger.ts';

const a = partition(0);
const decidesNothing: Rejudge = async () => null;

describe('a batch that is clean by a baseline which a rollback has put out of force', () => {
  let test: TestLedger;
  let late: LoggedBatch;
  const publish = () => test.publisher(decidesNothing).publish(never);
  const verify = () => verifyPipeline(test.reopened(), { deep: true, format: parquetFormat, signal: never });

  /** The ref goes back to before any baseline; only then is a batch committed that was begun under one. */
  beforeEach(async () => {
    test = await TestLedger.open({ prepared: false });
    await test.pinSchema();
    await test.commit(a, { verdict: 'no-baseline' });
    const first = (await publish()).snapshot!;
    const baseline = await test.approveBaseline('withdrawn');
    const left = await test.commit(a);
    await publish();
    await rollback(test.ledger, 'main', first, test.person(), never);
    await test.decide(left, 'condemned');
    await resume(test.ledger, 'main', test.person(), decidesNothing, test.keys.publisher, never);
    late = await test.commit(a, { baseline });
  });

  it('is held until a person decides', async () => {
    expect((await test.ledger.control.head()).state.baselines).toEqual({});
    expect(await publish()).toMatchObject({ published: 0 });
    expect((await test.standings('held'))[late.digest]).toBe('failed');
    await test.decide(late, 'released');
    expect(await publish()).toMatchObject({ published: 1 });
    expect((await verify()).problems).toEqual([]);
  });

  it('is found by verify where a publisher lets it in', async () => {
    await publish();
    const { snapshots, control, layout } = test.ledger;
    const head = await control.head();
    const parent = head.state.refs['main']!;
    const base = await test.snapshot();
    const line = (await snapshots.find(base.held, ['test/orders/0', late.entry.start]))!;
    const key = [line.log, line.start] as const;
    const batches = await snapshots.update(
      base.batches,
      [{ key, line: formatBatchLine({ ...line, standing: 'clean' }) }],
      never,
    );
    const held = await snapshots.update(base.held, [{ key, line: null }], never);
    const totals = { records: base.records + line.rows, bytes: base.bytes + line.data!.bytes };
    const lists = { batches: batches as never, held: held as never };
    const forged = { ...base, ...lists, ...totals, parent, controlSeq: nextSeq(head) - 1 };
    const snapshot = await snapshots.write(forged, never);
    await test.act({ kind: 'publish', by: 'thief', ref: 'main', parent, snapshot });
    expect((await verify()).problems).toEqual([
      expect.objectContaining({
        object: layout.snapshot(snapshot),
        reason: expect.stringMatching(/at 4, which was neither judged clean nor released by then/) as string,
      }),
    ]);
  });
});
