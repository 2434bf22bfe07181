import { createHash } from 'node:crypto';

import type { CrashPoint, Side } from './plan.ts';

/** Sides of steps in the order in which a process came to them, as the preload names them: `before page`. */
export type Course = readonly string[];

/** What was tried already. */
export interface Tried {
  /** Steps that were taken apart. */
  readonly steps: Set<string>;
  /** Commands that were cut. */
  readonly commands: Set<string>;
}

/** The pass that is tried beside the first; the last one where there are fewer. */
const LATE_PASS = 10;
/** What lies inside a step tells apart what is on disk in two places only: the content is there, and it has its name. */
const TELLING = ['file written', 'linked', 'renamed'];
/** Steps of which every single call of the file system is tried: one for each way in which files are written. */
const IN_FULL = [
  'batch slot',
  'head hint',
  'mark',
  'staged file',
  'completion record',
  'ingest key',
  'trust.json',
  'headgate.yaml',
];
/** Steps beside the point, which every run takes alike. */
const AUXILIARY = [
  'run lock',
  'probe',
  'removal of probe',
  'probe record',
  'trial mark',
  'mark',
  'control hint',
  'head hint',
];

/** Reads what a rehearsal has written down. */
export function parseCourse(log: string): Course {
  return log.split('\n').filter((line) => line !== '');
}

/** How often each side of each step was reached. */
export function countPasses(course: Course): ReadonlyMap<string, number> {
  const passes = new Map<string, number>();
  for (const place of course) passes.set(place, (passes.get(place) ?? 0) + 1);
  return passes;
}

/** Names of the steps, without what lies inside of them. */
export function stepsIn(course: Course): string[] {
  return [...new Set(course.map((place) => placeOf(place).whole))];
}

/**
 * Where a command is killed: on both sides of every step, in its first and a late pass; inside of a step in the first pass,
 * and only where no earlier command has the same step. A command that was cut before is cut neither at what every run does
 * alike, nor where nothing has happened since the step before.
 * @param tried filled.
 */
export function pointsOf(command: string, course: Course, tried: Tried): CrashPoint[] {
  const points: CrashPoint[] = [];
  const isNew = !tried.commands.has(command);
  for (const [place, count] of countPasses(course)) {
    const { step, side, whole, inside } = placeOf(place);
    if (inside !== undefined) {
      const isTelling = TELLING.includes(inside) || IN_FULL.includes(whole);
      if (isTelling && !tried.steps.has(whole)) points.push({ step, side, pass: 1 });
      continue;
    }
    for (const pass of new Set([1, Math.min(LATE_PASS, count)]))
      if (!isSameAsBefore(course, place, pass) && (isNew || !AUXILIARY.includes(step)))
        points.push({ step, side, pass });
  }
  for (const step of stepsIn(course)) tried.steps.add(step);
  tried.commands.add(command);
  return points;
}

/** A point in words: `publish: snapshot, before, 1st`. */
export function describePoint(command: string, { step, side, pass }: CrashPoint): string {
  const ordinal = pass === 1 ? '1st' : pass === 2 ? '2nd' : pass === 3 ? '3rd' : `${pass}th`;
  return `${command}: ${step}, ${side}, ${ordinal}`;
}

/** True where a step is begun right after another has ended, of which that side is a point, too. */
function isSameAsBefore(course: Course, place: string, pass: number): boolean {
  let at = -1;
  for (let i = 0; i < pass; i++) at = course.indexOf(place, at + 1);
  return placeOf(place).side === 'before' && course[at - 1]?.startsWith('after ') === true;
}

function placeOf(place: string): {
  readonly step: string;
  readonly side: Side;
  readonly whole: string;
  readonly inside: string | undefined;
} {
  const gap = place.indexOf(' ');
  const step = place.slice(gap + 1);
  const [whole = '', inside] = step.split(': ');
  return { step, side: place.slice(0, gap) as Side, whole, inside };
}

/**
 * One of so many points, others each day: a run of all tests has no time for all of them.
 * @param oneIn 1 = all
 */
export function drawnToday(oneIn: number): (name: string) => boolean {
  const day = new Date().toISOString().slice(0, 10);
  return (name) => createHash('sha256').update(`${day} ${name}`).digest().readUInt32BE(0) % oneIn === 0;
}
