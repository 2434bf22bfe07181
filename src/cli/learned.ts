import type { LearnedBaseline } from '../respond/learn-baseline.ts';
import type { ProfilePlace } from '../respond/stored-profiles.ts';
import { describeUndecoded } from './dead-letters.ts';
import { counted, formatBytes, formatCount } from './output.ts';

/** Places of batches that a sentence names. */
const PLACES_TOLD_MAX = 3;

/** What was read of a history, beside the profiles that were learned from. */
export interface ReadHistory {
  /** Of each profile, in order. */
  readonly places: readonly ProfilePlace[];
  /** Stored batches that are older than those read. */
  readonly older: number;
  /** Ends of files that were too short to be profiled, and their records. */
  readonly rests: number;
  readonly restRecords: number;
}

/** Sentences on what a baseline was learned from, and what was left out and why. @param recordsMin as in JudgeSettings */
export function describeLearned(learned: LearnedBaseline, read: ReadHistory, recordsMin: number): string[] {
  const leftOut = (count: number, why: string): string[] =>
    count === 0 ? [] : [`left out: ${counted(count, 'batch')} ${why}`];
  const few = `fewer than ${formatCount(recordsMin)} decoded records`;
  const older = learned.older + read.older;
  const from =
    learned.undecoded === null
      ? counted(learned.records, 'record')
      : `${counted(learned.rows, 'row')} of ${counted(learned.records, 'record')}`;
  return [
    `learned ${learned.baseline.slice(0, 12)} for "${learned.topic}" from ${from} in ${counted(learned.batches, 'batch')} (${formatBytes(learned.bytes)})`,
    ...describeUndecoded(learned.content),
    ...(learned.joined > 0
      ? [`${counted(learned.joined, 'batch')} of ${few} joined to be learned from, as small batches are judged`]
      : []),
    ...(learned.onlySmall
      ? [`all batches together have ${few}, too few to be judged: learned from all the same; learn again from more`]
      : []),
    ...leftOut(learned.skipped, 'of which no record decoded'),
    ...leftOut(learned.otherSchema, 'read by another schema than the pinned one'),
    ...leftOut(learned.otherRoles, 'read with another label or time than the newest'),
    ...leftOut(learned.small, `of ${few}, too small to be judged`),
    ...describeCopies(copiesOf(learned, read)),
    ...(read.rests > 0
      ? [
          `left out: ${counted(read.restRecords, 'record')} at the end of ${counted(read.rests, 'file')}, less than half a batch each (batch.recordsMax)`,
        ]
      : []),
    ...leftOut(
      older,
      `that ${older === 1 ? 'is' : 'are'} older; a baseline is learned from the newest ${learned.batches}`,
    ),
  ];
}

/** Batches that were left out as copies, in order. */
export function copiesOf({ copiesAt }: LearnedBaseline, { places }: ReadHistory): ProfilePlace[] {
  return copiesAt.map((at) => places[at]!);
}

const WAYS_OUT: Readonly<Record<ProfilePlace['standing'], string>> = {
  held: 'held: look at them before they are released',
  published:
    'published already: look at them, and take out what should not be there with headgate quarantine condemn LOG@OFFSET --reason …',
  file: 'not in the ledger: look at them before these files are trained on',
};

function describeCopies(copies: readonly ProfilePlace[]): string[] {
  return (['held', 'published', 'file'] as const).flatMap((standing) => {
    const places = copies.filter((copy) => copy.standing === standing).map(({ place }) => place);
    if (places.length === 0) return [];
    const more = places.length - PLACES_TOLD_MAX;
    const told = `${places.slice(0, PLACES_TOLD_MAX).join(', ')}${more > 0 ? ` and ${formatCount(more)} more` : ''}`;
    return [
      `left out: ${counted(places.length, 'batch')} with the rows of an earlier one (${told}), ${WAYS_OUT[standing]}`,
    ];
  });
}
