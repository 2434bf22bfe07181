import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { Lanes } from '../support/crash/lanes.ts';
import type { CrashPoint } from '../support/crash/plan.ts';
import { describePoint, parseCourse, pointsOf, stepsIn } from '../support/crash/points.ts';
import { configure, FILES, INIT, PIPELINE, writeHistory } from '../support/crash/scenario.ts';
import { Stage } from '../support/crash/stage.ts';
import { missedRecords } from '../support/crash/standing.ts';
import { runHere } from '../support/in-process.ts';

const STEPS = ['.gitignore', 'ingest key', 'publisher key', 'approver key', 'trust.json', 'headgate.yaml'];

const root = await mkdtemp(join(tmpdir(), 'headgate-crash-'));
const { steps, points } = await rehearse();
const lanes = new Lanes(['left', 'right'].map((name) => new Stage(join(root, name))));

async function rehearse(): Promise<{ readonly steps: readonly string[]; readonly points: readonly CrashPoint[] }> {
  await mkdir(join(root, 'prepared'));
  await writeHistory(join(root, 'prepared'));
  const stage = new Stage(join(root, 'rehearsal'));
  await cp(join(root, 'prepared'), stage.folder, { recursive: true });
  expect(await stage.rehearse(INIT, join(root, 'log'))).toMatchObject({ code: 0 });
  const course = parseCourse(await readFile(join(root, 'log'), 'utf8'));
  return { steps: stepsIn(course), points: pointsOf('init', course, { steps: new Set(), commands: new Set() }) };
}

afterAll(() => rm(root, { recursive: true, force: true }));

describe('init', () => {
  it('has all the steps that are claimed, and no other', () => {
    expect(steps).toEqual(STEPS);
  });

  it.concurrent.each(points.map((point) => [describePoint('init', point), point] as const))(
    '%s',
    async (_, point) => {
      await lanes.use(async (stage) => {
        await stage.become(join(root, 'prepared'), PIPELINE);
        await stage.cut(INIT, point);
        const repeated = await stage.run(INIT);
        if (repeated.code !== 0) await followRemedy(stage, repeated.stderr);
        await configure(stage.folder);
        expect(await stage.run(['run', '--once'])).toMatchObject({ code: 0 });
        expect(await missedRecords(stage.folder, PIPELINE, FILES)).toEqual([]);
        expect(await runHere(stage.folder, 'verify', '--deep')).toMatchObject({ code: 0 });
      });
    },
    120_000,
  );
});

/** Keys that are there are never overwritten: who was cut off is told by name what to remove, and then it goes on. */
async function followRemedy(stage: Stage, refused: string): Promise<void> {
  expect(refused).toMatch(/exists? already/);
  // A configuration is there only once all of it is, and then all else is, too.
  if ((await readFile(join(stage.folder, 'headgate.yaml'), 'utf8').catch(() => null)) !== null) return;
  expect(refused).toContain('if an earlier init was cut off');
  const named = /remove ("[^)]*")\)/.exec(refused)![1]!;
  for (const [, path] of named.matchAll(/"([^"]+)"/g)) await rm(path!);
  expect(await stage.run(INIT)).toMatchObject({ code: 0 });
}
