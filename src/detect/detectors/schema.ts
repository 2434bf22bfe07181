import { HARD_ROWS_MIN, shareStatistic } from './detector.ts';
import type { Detector, DetectorContext, HardFinding, Statistic } from './detector.ts';
import type { Profile } from '../profile.ts';
import { causesOf, countDeadLetters, describeMainCause } from '../profile/dead-letters.ts';
import { quoteName } from '../../record/quote-name.ts';

const DETECTOR = 'schema';
const DEAD_LETTERS = 'dead-letters';

/**
 * Fields that come and go, invisible characters, records that do not decode or do not fit the schema.
 *
 * Hard: a column that is gone or changed its type; at least HARD_ROWS_MIN rows without a field no row ever lacked.
 * Cost: a few numbers a column.
 */
export const schemaDetector: Detector = {
  id: DETECTOR,
  family: 'schema',
  about: 'Missing and extra fields, invisible characters, records that do not decode or do not fit the schema',
  measure(context) {
    const { profile } = context.batch;
    const { records } = profile.counts;
    const dead = countDeadLetters(profile);
    const extra = profile.extraFields.reduce((most, field) => Math.max(most, field.rows), 0);
    const statistics: Statistic[] = [
      share(DEAD_LETTERS, null, `Share of records that do not decode${causeOf(profile, dead)}`, dead, records),
      share('extra-fields', null, 'Share of rows with a field outside the schema', extra, profile.rows),
    ];
    for (const { reference, profile: column, rows } of context.batch.columns) {
      const name = quoteName(reference.name);
      const { absent, suspiciousText } = column;
      statistics.push(share('absent', reference.name, `Share of rows without ${name}`, absent, rows));
      if (reference.kind === 'text') {
        const subject = `Share of ${name} with invisible characters`;
        statistics.push(share('suspicious-text', reference.name, subject, suspiciousText, rows));
      }
    }
    return statistics;
  },
  check: findBrokenShape,
};

/**
 * Hard: a batch of whose records not half as large a share decodes as in any batch learned from. Before there are enough of
 * them to know how that share varies, nothing else would tell.
 * @param shareMax the largest share in any batch learned from; null where it is not known
 */
export function findUndecoded(profile: Profile, shareMax: number | null): HardFinding[] {
  const { records } = profile.counts;
  const dead = countDeadLetters(profile);
  const limit = (1 + (shareMax ?? 1)) / 2;
  if (dead < HARD_ROWS_MIN || dead <= limit * records) return [];
  const usual = `at most ${Number((100 * shareMax!).toPrecision(3))} % did not in any batch learned from`;
  return [
    {
      detector: DETECTOR,
      statistic: DEAD_LETTERS,
      columns: [],
      value: dead / records,
      expected: [0, limit],
      sentence: `${dead} of ${records} records do not decode${causeOf(profile, dead)}; ${usual}`,
    },
  ];
}

/** Share of a batch's records that did not decode. */
export function undecodedShare(profile: Profile): number {
  const { records } = profile.counts;
  return records === 0 ? 0 : countDeadLetters(profile) / records;
}

/** ` (1000 for wrong-type in column "amount")`. */
function causeOf(profile: Profile, dead: number): string {
  const cause = describeMainCause(causesOf(profile), dead);
  return cause === null ? '' : ` (${cause})`;
}

/** True for what is told of all records, decoded or not: it can be judged where few rows decoded. */
export function isOfAllRecords({ detector, name }: Statistic): boolean {
  return detector === DETECTOR && name === DEAD_LETTERS;
}

function share(name: string, column: string | null, subject: string, count: number, rows: number): Statistic {
  const about = { detector: DETECTOR, name, columns: column === null ? [] : [column], subject };
  return shareStatistic(about, count, rows, { side: 'high', surprise: true });
}

function findBrokenShape({ batch }: DetectorContext): HardFinding[] {
  const findings: HardFinding[] = batch.missing.map((reference) => ({
    detector: DETECTOR,
    statistic: 'missing-column',
    columns: [reference.name],
    value: 1,
    expected: [0, 0],
    sentence: `Column ${quoteName(reference.name)} of the baseline is missing or has another type`,
  }));
  for (const { reference, profile } of batch.columns) {
    if (!reference.neverAbsent || profile.absent < HARD_ROWS_MIN) continue;
    findings.push({
      detector: DETECTOR,
      statistic: 'absent',
      columns: [reference.name],
      value: profile.absent,
      expected: [0, HARD_ROWS_MIN - 1],
      sentence: `${profile.absent} rows lack ${quoteName(reference.name)}, which no row lacked before`,
    });
  }
  return findings;
}
