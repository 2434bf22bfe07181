/**
 * What detection finds in flights, and how often it holds batches to which nothing was done.
 *
 *     npm run build
 *     node dist/bench/detect-flights.js                     recall on examples/flights, budget 0.1 %
 *     node dist/bench/detect-flights.js DIR 17 12           false batches: learn 17, judge 12, move on by 12
 *
 * DIR holds the whole year as examples/flights/prepare.py --all writes it.
 */
import { fileURLToPath } from 'node:url';
import { learnBaseline } from '../src/detect/baseline/learn.ts';
import { prepareBaseline } from '../src/detect/baseline/prepare.ts';
import { judge } from '../src/detect/verdict.ts';
import { ATTACKS, FLIGHT_NUMBERS, profileRows, randomOf, readFlights } from '../test/support/flights.ts';

const SIZE = 1_000;
const SHARES = [0.005, 0.01, 0.02, 0.05, 0.1, 1];
const BY_COLUMN = new Set(['unit x10', 'unit x1.1', 'nulls', 'implicit missing']);

/** Share of attacked batches that are held, by attack, column and share of rows. */
function measureRecall(folder: string): void {
  const batches = readFlights(folder, SIZE);
  const profiles = batches.map((rows) => profileRows(rows, null));
  const learned = Math.floor(0.6 * batches.length);
  const baseline = prepareBaseline(learnBaseline(profiles.slice(0, learned)));
  const later = batches.map((_, i) => i).slice(learned);
  const clean = later.filter((i) => judge(profileRows(batches[i]!, baseline), baseline).outcome === 'clean');
  console.log(`learned ${learned} batches, judged ${later.length}, clean ${clean.length}`);
  console.log(`${'attack'.padEnd(30)}${SHARES.map((share) => String(share).padStart(7)).join('')}`);
  for (const [name, attack] of Object.entries(ATTACKS)) {
    for (const column of BY_COLUMN.has(name) ? FLIGHT_NUMBERS : ['']) {
      const recalls = SHARES.map((share) => {
        const held = later.filter((i) => {
          // Replays come from batches that were learned from: with later ones nothing is compared.
          const rows = attack(batches[i]!, share, randomOf(i * 977 + 13), batches.slice(0, learned), column);
          return judge(profileRows(rows, baseline), baseline).outcome === 'suspect';
        });
        return (held.length / later.length).toFixed(2).padStart(7);
      });
      console.log(`${`${name} ${column}`.padEnd(30)}${recalls.join('')}`);
    }
  }
}

/** Share of untouched batches that are held, learning again and again along a long stream. */
function measureFalse(folder: string, learn: number, next: number): void {
  const batches = readFlights(folder, SIZE);
  const profiles = batches.map((rows) => profileRows(rows, null));
  const reasons = new Map<string, number>();
  let judged = 0;
  for (let at = 0; at + learn + next <= batches.length; at += next) {
    const baseline = prepareBaseline(learnBaseline(profiles.slice(at, at + learn)));
    for (const rows of batches.slice(at + learn, at + learn + next)) {
      const { outcome, findings } = judge(profileRows(rows, baseline), baseline);
      judged += 1;
      if (outcome !== 'suspect') continue;
      const reason = `${findings[0]!.family} ${findings[0]!.statistic} ${findings[0]!.columns.join()}`;
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
  }
  const held = [...reasons.values()].reduce((sum, count) => sum + count, 0);
  console.log(`judged ${judged}, held ${held} (${((100 * held) / judged).toFixed(1)} %), by first reason:`);
  for (const [reason, count] of [...reasons].sort((a, b) => b[1] - a[1]))
    console.log(`${String(count).padStart(4)}  ${reason}`);
}

const [folder, learn, next] = process.argv.slice(2);
if (folder === undefined) measureRecall(fileURLToPath(new URL('../../examples/flights', import.meta.url)));
else measureFalse(folder, Number(learn ?? 17), Number(next ?? 12));
