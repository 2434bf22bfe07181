import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { Lanes } from './lanes.ts';
import type { CrashPoint } from './plan.ts';
import { countPasses, describePoint, parseCourse } from './points.ts';
import { alertsIn } from './scenario.ts';
import { openStream, openStreamStage, pipelineOf, type Stream } from './stream.ts';
import type { Stage } from './stage.ts';
import { pythonPath, s3Address } from '../services.ts';

const ORACLE = fileURLToPath(new URL('../oracle.py', import.meta.url));
const RUN = ['run', '--once', '--json'];
/** Each waits ten seconds for its alerts; a lock on a job lasts for thirty, and is looked at every thirty. */
const RUNS_MAX = 8;
const at = (step: string, side: CrashPoint['side'], pass: number): CrashPoint => ({ step, side, pass });

/** Points of a run that reads a stream for the first time. */
const READING: readonly CrashPoint[] = [
  at('open slot', 'after', 1),
  at('schema entry', 'after', 1),
  at('quarantine data', 'after', 10),
  at('batch slot', 'before', 1),
  at('batch slot', 'after', 1),
  at('batch slot', 'after', 10),
  at('offset commit', 'before', 1),
  at('offset commit', 'after', 1),
  at('offset commit', 'before', 10),
  at('offset commit', 'after', 10),
  at('head hint', 'after', 10),
  at('publish entry', 'before', 1),
];

/** Points of the run after a baseline was approved: it judges what waited, publishes it, and tells of the approval. */
const PUBLISHING: readonly CrashPoint[] = [
  at('verdict entry', 'after', 1),
  at('data', 'after', 10),
  at('publish entry', 'after', 1),
  at('alert job', 'before', 1),
  at('alert job', 'after', 1),
  at('receipt', 'before', 1),
];

/**
 * Describes a process on the real services, cut at some points.
 * @param isRun says by its name whether a point is tried.
 */
export function describeLifeOnKafka(isRun: (name: string) => boolean): void {
  const casesOf = (command: string, points: readonly CrashPoint[]) =>
    points.map((point) => [describePoint(command, point), point] as const).filter(([name]) => isRun(name));

  describe('a process that is killed while it uses Kafka, S3 and Redis', () => {
    let root: string;
    let stream: Stream;
    const lanes = new Lanes(['left', 'right']);

    beforeAll(async () => {
      root = await mkdtemp(join(tmpdir(), 'headgate-crash-'));
      stream = await openStream(root);
    }, 60_000);

    afterAll(() => rm(root, { recursive: true, force: true }));

    const openStage = (): Promise<Stage> =>
      openStreamStage(stream, join(root, `crash-${randomBytes(4).toString('hex')}`));
    const must = async (stage: Stage, ...args: string[]): Promise<Record<string, unknown>> => {
      const { code, stdout, stderr } = await stage.run([...args, '--json']);
      expect(code, `${args.join(' ')}: ${stdout}${stderr}`).toBe(0);
      return JSON.parse(stdout.trim().split('\n').at(-1)!) as Record<string, unknown>;
    };
    const learn = async (stage: Stage): Promise<void> => {
      await must(stage, ...RUN);
      await must(stage, 'baseline', 'learn', '--reason', 'history');
      await must(stage, 'baseline', 'approve', '--reason', 'looked at');
    };
    /** Holds all that is stored against what producers sent, by a reader that shares no code with the product. */
    const assertWhole = async (stage: Stage): Promise<void> => {
      const store = ['--store', `s3://${stream.bucket}/lake`, '--pipeline', pipelineOf(stage.folder)];
      const args = [ORACLE, ...store, '--endpoint', s3Address().endpoint, '--ledger', stream.ledger];
      const { stdout } = await promisify(execFile)(pythonPath(), args, { env: { ...process.env, ...stream.env } });
      const none = { lost: 0, doubled: 0, foreign: 0, changed: 0, badRoots: 0, badChains: 0, badDigests: 0 };
      expect(JSON.parse(stdout)).toMatchObject({ records: stream.records, ...none });
      expect(await must(stage, 'verify', '--deep')).toMatchObject({ ok: true, records: stream.records });
    };

    it('passes all the points that are tried', async () => {
      await lanes.use(async () => {
        const stage = await openStage();
        const log = join(root, 'reading.log');
        expect(await stage.rehearse(RUN, log)).toMatchObject({ code: 0 });
        await must(stage, 'baseline', 'learn', '--reason', 'history');
        await must(stage, 'baseline', 'approve', '--reason', 'looked at');
        const later = join(root, 'publishing.log');
        expect(await stage.rehearse(RUN, later)).toMatchObject({ code: 0 });
        for (const [path, points] of [
          [log, READING],
          [later, PUBLISHING],
        ] as const) {
          const passes = countPasses(parseCourse(await readFile(path, 'utf8')));
          const missed = points.filter(({ step, side, pass }) => (passes.get(`${side} ${step}`) ?? 0) < pass);
          expect(missed).toEqual([]);
        }
        await assertWhole(stage);
      });
    }, 120_000);

    it.concurrent.each(casesOf('first run', READING))(
      '%s',
      async (_, point) => {
        await lanes.use(async () => {
          const stage = await openStage();
          await stage.cut(RUN, point);
          expect(await must(stage, ...RUN)).toMatchObject({ held: 14, onHold: false, halted: [], damaged: [] });
          await assertWhole(stage);
        });
      },
      180_000,
    );

    it.concurrent.each(casesOf('run with a baseline', PUBLISHING))(
      '%s',
      async (_, point) => {
        await lanes.use(async () => {
          const stage = await openStage();
          await learn(stage);
          const outputs = [await stage.cut(RUN, point)];
          do {
            const repeated = await stage.run(RUN);
            expect(repeated, repeated.stderr).toMatchObject({ code: 0 });
            expect(JSON.parse(repeated.stdout)).toMatchObject({ held: 0, onHold: false, halted: [], damaged: [] });
            outputs.push(repeated);
            // What the dead process had begun to tell is taken over once its lock is over: until then, runs say so and end.
          } while (outputs.at(-1)!.stderr.includes('not delivered yet') && outputs.length <= RUNS_MAX);
          expect(alertsIn(...outputs)).toContain('dev.headgate.control.approve');
          await assertWhole(stage);
        });
      },
      240_000,
    );
  });
}
