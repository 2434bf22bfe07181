import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { Lanes } from './lanes.ts';
import type { CrashPoint } from './plan.ts';
import { describePoint, parseCourse, pointsOf, type Tried } from './points.ts';
import { alertsIn, answerOf, configure, FILES, INIT, LIFE, PIPELINE, writeHistory, type Act } from './scenario.ts';
import { Stage } from './stage.ts';
import { missedRecords, standingOf, type Standing } from './standing.ts';
import { runHere } from '../in-process.ts';

/** Every way in which the life of a pipeline on files changes the world: a kind of write that is new must be named here. */
const STEPS = [
  'probe, removal of probe, probe record, trial mark, mark, run lock',
  'open slot, batch slot, data, quarantine data, dead letters, evidence, judgement',
  'schema, baseline, page, snapshot, state',
  'schema entry, learn entry, approve entry, verdict entry, publish entry, decision entry',
  'hold entry, resume entry, rollback entry',
  'head hint, control hint, halt hint, removal of halt hint',
  'alert job, alert, receipt',
  'staged file, manifest, file moved into place, removal of a stale file, sync of names',
  'completion record, removal of completion record, removal of staging folder',
].flatMap((group) => group.split(', '));

/** A command that was run without a cut: where it can be cut, and what it comes to. */
interface Rehearsed {
  readonly act: Act;
  /** The pipeline as it stands before. */
  readonly prepared: string;
  readonly points: readonly CrashPoint[];
  /** What it answers, and what it answers to who asks for the same again. */
  readonly answers: readonly unknown[];
  readonly alerts: readonly string[];
  readonly standing: Standing;
  /** Records that do not stand exactly once; none unless a partition stands still. */
  readonly missed: readonly string[];
}

/** Goes through the whole life once. @param tried filled */
async function rehearse(root: string, tried: Tried): Promise<Rehearsed[]> {
  const stage = new Stage(join(root, 'rehearsal'));
  await mkdir(stage.folder);
  await writeHistory(stage.folder);
  await stage.run(INIT);
  await configure(stage.folder);
  const done: Rehearsed[] = [];
  for (const act of LIFE) {
    await act.prepare?.(stage.folder);
    const prepared = join(root, 'prepared', act.name);
    await new Stage(prepared).become(stage.folder, PIPELINE);
    const log = join(root, `${act.name}.log`);
    const first = await stage.rehearse([...act.args, '--json'], log);
    expect(first, `${act.name}: ${first.stderr}`).toMatchObject({ code: act.code ?? 0 });
    const again = new Stage(join(root, 'again'));
    await again.become(stage.folder, PIPELINE);
    const second = await again.run([...act.args, '--json']);
    const missed = await missedRecords(stage.folder, PIPELINE, FILES);
    if (act.halts !== true) expect(missed, act.name).toEqual([]);
    done.push({
      act,
      prepared,
      points: pointsOf(act.args.join(' '), parseCourse(await readFile(log, 'utf8')), tried),
      answers: [answerOf(act, first, stage.folder), answerOf(act, second, again.folder)],
      alerts: alertsIn(first),
      standing: await standingOf(stage.folder),
      missed,
    });
  }
  return done;
}

/**
 * Describes the life of a pipeline on files, cut at every point.
 * @param isRun says by its name whether a point is tried.
 */
export async function describeLifeOnFiles(isRun: (name: string) => boolean): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'headgate-crash-'));
  const tried: Tried = { steps: new Set(), commands: new Set() };
  const rehearsed = (await rehearse(root, tried))
    .map((each) => ({ ...each, points: each.points.filter((point) => isRun(describePoint(each.act.name, point))) }))
    .filter(({ points }) => points.length > 0);
  const lanes = new Lanes(['left', 'right'].map((name) => new Stage(join(root, name))));

  afterAll(() => rm(root, { recursive: true, force: true }));

  describe('the life of a pipeline', () => {
    it('has all the steps that are claimed, and no other', () => {
      expect([...tried.steps].toSorted()).toEqual(STEPS.toSorted());
    });
  });

  describe.each(rehearsed)('$act.name', ({ act, prepared, points, answers, alerts, standing, missed }) => {
    it.concurrent.each(points.map((point) => [describePoint(act.name, point), point] as const))(
      '%s',
      async (_, point) => {
        await lanes.use(async (stage) => {
          await stage.become(prepared, PIPELINE);
          const args = [...act.args, '--json'];
          const cut = await stage.cut(args, point);
          const repeated = await stage.run(args);
          expect(answers, repeated.stderr).toContainEqual(answerOf(act, repeated, stage.folder));
          expect(alertsIn(cut, repeated)).toEqual(expect.arrayContaining([...alerts]));
          expect(await standingOf(stage.folder)).toEqual(standing);
          expect(await missedRecords(stage.folder, PIPELINE, FILES)).toEqual(missed);
          const verified = await runHere(stage.folder, 'verify', '--deep', '--json');
          expect(verified, verified.stdout).toMatchObject({ code: 0 });
        });
      },
      120_000,
    );
  });
}
