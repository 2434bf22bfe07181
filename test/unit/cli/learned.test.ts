import { describe, expect, it } from 'vitest';

import { copiesOf, describeLearned, type ReadHistory } from '../../../src/cli/learned.ts';
import { learnBaseline } from '../../../src/detect/baseline/learn.ts';
import type { LearnedBaseline } from '../../../src/respond/learn-baseline.ts';
import type { ProfilePlace } from '../../../src/respond/stored-profiles.ts';
import { profileRows } from '../../support/flights.ts';

const LEARNED: LearnedBaseline = {
  topic: 'orders',
  baseline: 'ab'.repeat(32),
  batches: 30,
  batchesMin: 8,
  records: 30_000,
  rows: 30_000,
  undecoded: null,
  bytes: 50_000,
  joined: 0,
  small: 0,
  onlySmall: false,
  skipped: 0,
  otherSchema: 0,
  otherRoles: 0,
  copies: 0,
  copiesAt: [],
  older: 0,
  content: learnBaseline([profileRows([{ n: 1 }], null, { n: 'int64' }, { label: null, source: null, time: null })]),
};
const places = (count: number, standing: ProfilePlace['standing']): ProfilePlace[] =>
  Array.from({ length: count }, (_, i) => ({ place: `file/orders/a@${i}`, standing }));
const READ: ReadHistory = { places: [], older: 0, rests: 0, restRecords: 0 };
const say = (learned: Partial<LearnedBaseline>, read: Partial<ReadHistory> = {}): string[] =>
  describeLearned({ ...LEARNED, ...learned }, { ...READ, ...read }, 500).slice(1);

describe('what was learned from', () => {
  it('is told in one line where nothing was left out', () => {
    expect(describeLearned(LEARNED, READ, 500)).toEqual([
      'learned abababababab for "orders" from 30,000 records in 30 batches (50.0 kB)',
    ]);
  });

  it('is told with each reason that something was left out for', () => {
    expect(say({ small: 3, skipped: 1 }, { older: 2, rests: 2, restRecords: 70 })).toEqual([
      'left out: 1 batch of which no record decoded',
      'left out: 3 batches of fewer than 500 decoded records, too small to be judged',
      'left out: 70 records at the end of 2 files, less than half a batch each (batch.recordsMax)',
      'left out: 2 batches that are older; a baseline is learned from the newest 30',
    ]);
  });

  it('is told where small batches were all there was, or were joined', () => {
    expect(say({ onlySmall: true }).join()).toMatch(/all batches together have fewer than 500 decoded records/);
    expect(say({ joined: 12 }).join()).toMatch(
      /^12 batches of fewer than 500 decoded records joined to be learned from/,
    );
  });

  it('names copies, the first few, with the way out for each that is true of it', () => {
    const copiesAt = [1, 3, 5, 7];
    const of = (standing: ProfilePlace['standing']) => say({ copies: 4, copiesAt }, { places: places(8, standing) });
    const told =
      '4 batches with the rows of an earlier one (file/orders/a@1, file/orders/a@3, file/orders/a@5 and 1 more)';
    expect(of('held')).toEqual([`left out: ${told}, held: look at them before they are released`]);
    expect(of('published')[0]).toMatch(/published already: .* headgate quarantine condemn LOG@OFFSET --reason …$/);
    expect(of('file')[0]).toMatch(/not in the ledger: look at them before these files are trained on$/);
    const mixed = { ...READ, places: [...places(2, 'held'), ...places(6, 'published')] };
    expect(describeLearned({ ...LEARNED, copiesAt }, mixed, 500)).toHaveLength(3);
    expect(copiesOf({ ...LEARNED, copiesAt }, mixed).map(({ standing }) => standing)).toEqual([
      'held',
      'published',
      'published',
      'published',
    ]);
  });
});
