import { Writable } from 'node:stream';

import fc from 'fast-check';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { ConsoleAlertChannel } from '../../../src/adapters/console-alert/console-alert-channel.ts';
import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { cloudEventBody } from '../../../src/adapters/webhook/cloud-event.ts';
import { learnBaseline } from '../../../src/detect/baseline/learn.ts';
import { prepareBaseline } from '../../../src/detect/baseline/prepare.ts';
import type { Finding } from '../../../src/detect/judgement.ts';
import { judge } from '../../../src/detect/verdict.ts';
import { HaltError } from '../../../src/errors.ts';
import type { ControlAct } from '../../../src/ledger/control-entry.ts';
import type { VerifiedControlEntry } from '../../../src/ledger/control-log.ts';
import type { LoggedBatch } from '../../../src/ledger/partition-log.ts';
import type { Alert } from '../../../src/ports/alert-channel.ts';
import type { Job } from '../../../src/ports/job-queue.ts';
import { refOf, type Rejudge } from '../../../src/publish/reconsider.ts';
import { readEvidence } from '../../../src/ledger/evidence.ts';
import { formatLogId } from '../../../src/record/log-id.ts';
import { alertId, haltCause, type AlertCause } from '../../../src/respond/alert-cause.ts';
import { ALERT_JOB } from '../../../src/respond/alerts.ts';
import { RecordingChannel, causeOf, controlCause, openDesk, type OpenDesk, finder } from '../../support/alert-desk.ts';
import { randomOf } from '../../support/flights.ts';
import { LeapingClock } from '../../support/leaping-clock.ts';
import { TOPIC, TestLedger, keysOf, never, partition } from '../../support/ledger.ts';
import { storeRejudgement } from '../../support/rejudgement.ts';

const HALTED_AT = '2026-11-21T10:00:00.000Z';
const a = partition(0);

function finding(change: Partial<Finding> = {}): Finding {
  return {
    family: 'domain',
    detector: 'domain',
    columns: ['city'],
    statistic: 'unseen',
    value: 7,
    expected: [0, 4],
    z: 0,
    pValue: 0,
    hard: true,
    action: null,
    sentence: '7 rows have a value of "city" that is not in its closed domain',
    detail: ['Atlantis'],
    ...change,
  };
}

describe('an alert', () => {
  let store: MemoryStore;
  let clock: LeapingClock;
  let test: TestLedger;
  let channel: RecordingChannel;
  let channels = 0;
  /** Tells a process that has just started of a cause, and returns what the channel hears. */
  const told = async (
    cause: AlertCause,
    alertColumns: (topic: string) => readonly string[] = () => [],
  ): Promise<Alert | undefined> => {
    const own = new RecordingChannel(`hook-${++channels}`);
    const { desk, queue } = await openDesk(test.reopened(), [own], alertColumns);
    await desk.notify(cause);
    await queue.drain();
    expect(own.delivered.length).toBeLessThanOrEqual(1);
    return own.delivered[0];
  };

  beforeEach(async () => {
    store = new MemoryStore();
    clock = new LeapingClock();
    test = await TestLedger.open({ store, clock });
    channel = new RecordingChannel();
  });

  describe('about a batch', () => {
    it('says which batch was quarantined, why, and where its evidence lies', async () => {
      const batch = await test.commit(a, {
        verdict: 'suspect',
        values: ['{"id":1}', '{"id":2}', 'no json'],
        judgement: { findings: [finding()], score: 4.5 },
      });
      const { entry } = batch;
      expect(await told(causeOf(batch))).toEqual({
        id: `batch-${batch.digest.slice(0, 32)}`,
        type: 'dev.headgate.batch.quarantined',
        subject: 'test/orders/0@0',
        time: entry.time,
        severity: 'warning',
        summary:
          'Batch test/orders/0 [0, 3) of 3 records was quarantined: 7 rows have a value of "city" that is not in its closed domain',
        data: {
          pipeline: 'shop',
          log: 'test/orders/0',
          start: 0,
          end: 3,
          records: 3,
          deadLetters: 1,
          verdict: 'suspect',
          undecided: null,
          mode: 'enforce',
          score: 4.5,
          batch: batch.digest,
          baseline: entry.baseline,
          evidence: entry.evidence.key,
          judgedBySeq: null,
          judgedTogether: 1,
          findings: [
            {
              family: 'domain',
              detector: 'domain',
              columns: ['city'],
              statistic: 'unseen',
              value: 7,
              expected: [0, 4],
              sentence: '7 rows have a value of "city" that is not in its closed domain',
            },
          ],
        },
      });
    });

    it('tells the cause’s time, not that of the sending', async () => {
      const batch = await test.commit(a, { verdict: 'suspect' });
      clock.advance(3_600_000);
      expect((await told(causeOf(batch)))!.time).toBe(batch.entry.time);
    });

    it('says that it would have been quarantined, in observe mode', async () => {
      const batch = await test.commit(a, { verdict: 'suspect', mode: 'observe' });
      expect(await told(causeOf(batch))).toMatchObject({
        type: 'dev.headgate.batch.suspected',
        severity: 'info',
        summary:
          'Batch test/orders/0 [0, 2) of 2 records would have been quarantined: unusual as a whole, without one finding that stands out',
      });
    });

    it('says that it could not be judged', async () => {
      const batch = await test.commit(a, { verdict: 'failed' });
      expect(await told(causeOf(batch))).toMatchObject({
        type: 'dev.headgate.batch.quarantined',
        summary: expect.stringMatching(/was quarantined: it could not be judged$/) as string,
      });
    });

    it.each(['enforce', 'observe'] as const)(
      'is of the halt, and critical, where a rule has stopped its partition, in %s mode',
      async (mode) => {
        const batch = await test.commit(a, { verdict: 'suspect', halts: true, mode });
        expect(await told(causeOf(batch))).toMatchObject({
          type: 'dev.headgate.partition.halted',
          severity: 'critical',
          data: { batch: batch.digest, code: 'RULE', next: batch.entry.end },
          summary: expect.stringMatching(
            /; its partition stopped behind it, until someone resumes \(headgate resume\)$/,
          ) as string,
        });
      },
    );

    it.each(['lost', 'altered'])('says what its entry says where its evidence is %s', async (how) => {
      const batch = await test.commit(a, { verdict: 'suspect', halts: true });
      const { key } = batch.entry.evidence;
      await store.delete(key);
      if (how === 'altered') await store.create(key, Buffer.from('{}'));
      expect(await told(causeOf(batch))).toMatchObject({
        type: 'dev.headgate.partition.halted',
        severity: 'critical',
        summary: expect.stringMatching(
          /: why cannot be told: "[^"]+" is damaged \(headgate verify\); its partition stopped/,
        ) as string,
        data: {
          code: 'RULE',
          next: batch.entry.end,
          damagedObject: expect.stringContaining('/evidence/') as string,
          findings: [],
          verdict: 'suspect',
        },
      });
    });

    it('names the five strongest findings, in their order', async () => {
      const findings = Array.from({ length: 20 }, (_, i) => finding({ statistic: `rule ${i}` }));
      const batch = await test.commit(a, { verdict: 'suspect', judgement: { findings } });
      const { findings: shown } = (await told(causeOf(batch)))!.data as { findings: Finding[] };
      expect(shown.map(({ statistic }) => statistic)).toEqual(findings.slice(0, 5).map(({ statistic }) => statistic));
    });

    describe('that was judged again', () => {
      /** Judges batches again as one, and signs what comes of it. */
      const judgeAgain = async (
        batches: readonly LoggedBatch[],
        outcome: 'clean' | 'suspect',
        as: 'each' | 'union' = 'union',
      ): Promise<{ evidence: string; baseline: string; seq: number }> => {
        const baseline = (await test.ledger.control.head()).state.baselines[TOPIC]!;
        const judgement = { findings: [finding({ sentence: 'the sum is odd' })], score: 7 };
        const planned = { as, batches, baseline, outcomeOf: () => outcome, judgement };
        const { evidence } = (await storeRejudgement(test.ledger, planned))!;
        const act = {
          kind: 'verdict',
          by: 'publisher',
          batches: batches.map(refOf),
          outcome,
          baseline,
          evidence,
        } as const;
        return { evidence, baseline, seq: (await test.act(act)).entry.seq };
      };

      it('carries the judgement in force: its findings, baseline and evidence', async () => {
        const batch = await test.commit(a, {
          verdict: 'suspect',
          judgement: { findings: [finding({ sentence: 'then' })] },
        });
        const { evidence, baseline, seq } = await judgeAgain([batch], 'suspect', 'each');
        expect(await told(causeOf(batch))).toMatchObject({
          id: `batch-${batch.digest.slice(0, 32)}`,
          summary: 'Batch test/orders/0 [0, 2) of 2 records was quarantined: the sum is odd',
          data: { baseline, evidence: test.ledger.layout.judgement(evidence), judgedBySeq: seq, judgedTogether: 1 },
        });
      });

      it('is one for all small batches that were judged together, sent once and settled for each', async () => {
        const small = await test.commit(a, { verdict: 'small' });
        const other = await test.commit(partition(1), { verdict: 'small' });
        expect(await told(causeOf(small))).toBeUndefined();
        const { evidence, baseline, seq } = await judgeAgain([small, other], 'suspect');
        const wanted = {
          id: expect.stringMatching(/^union-[0-9a-f]{32}$/) as string,
          type: 'dev.headgate.batch.quarantined',
          subject: `control/${seq}`,
          summary: '2 small batches of "orders", judged together, were quarantined: the sum is odd',
          data: {
            topic: 'orders',
            batches: [small, other].map(({ log, entry, digest }) => ({
              log: formatLogId(log),
              slot: entry.slot,
              digest,
            })),
            verdict: 'suspect',
            undecided: null,
            score: 7,
            baseline,
            evidence: test.ledger.layout.judgement(evidence),
            judgedBySeq: seq,
            judgedTogether: 2,
            findings: [{ sentence: 'the sum is odd' }],
          },
        };
        const first = await told(causeOf(small));
        expect(first).toMatchObject(wanted);
        await test.publisher().publish(never);
        expect((await test.ledger.control.head()).state.verdicts).toEqual({});
        expect(await told(causeOf(other))).toEqual(first);
        const causes = [small, other].map(causeOf);
        const { desk, queue } = await openDesk(test.reopened(), [channel]);
        await Promise.all(causes.map((cause) => desk.notify(cause)));
        await queue.drain();
        await desk.reconcile(causes);
        await queue.drain();
        expect([channel.tried, await queue.depth()]).toEqual([[first!.id], 0]);
        for (const id of [first!.id, ...causes.map(alertId)])
          expect(await store.stat(test.ledger.layout.receipt(id, channel.name))).not.toBeNull();
      });

      it('is not told of when it was suspect and is clean by now', async () => {
        const batch = await test.commit(a, { verdict: 'suspect' });
        await judgeAgain([batch], 'clean', 'each');
        expect(await told(causeOf(batch))).toBeUndefined();
      });

      it('is told of as it was read while only others were judged again', async () => {
        const batch = await test.commit(a, { verdict: 'suspect', judgement: { findings: [finding()] } });
        await judgeAgain([await test.commit(a, { verdict: 'small' })], 'suspect');
        expect(await told(causeOf(batch))).toMatchObject({
          data: { evidence: batch.entry.evidence.key, judgedBySeq: null, judgedTogether: 1 },
        });
      });

      it('says that its verdict no longer stands when it cannot be judged again', async () => {
        const nobody: Rejudge = async () => null;
        const batch = await test.commit(a, { baseline: 'a'.repeat(64) });
        await test.publisher(nobody).publish(never);
        expect(await told(causeOf(batch))).toMatchObject({
          summary: expect.stringMatching(/was quarantined: its own verdict no longer stands$/) as string,
        });
      });
    });
  });

  describe('about an act', () => {
    const BASELINE = 'b'.repeat(64);
    const acts: [string, ControlAct, string, Alert['severity']][] = [
      ['hold', { kind: 'hold', by: 'Ada', ref: 'main', reason: 'wait' }, 'Ada did hold on "main": wait', 'info'],
      ['resume', { kind: 'resume', by: 'Ada', ref: 'main', reason: 'go' }, 'Ada did resume on "main": go', 'info'],
      [
        'approve',
        { kind: 'approve', by: 'Ada', topic: TOPIC, baseline: BASELINE, reason: 'fine' },
        'Ada did approve on "orders": fine',
        'info',
      ],
      [
        'decision',
        {
          kind: 'decision',
          by: 'Ada',
          batch: { log: 'test/orders/0', slot: 1, digest: BASELINE },
          outcome: 'condemned',
          reason: 'poison',
        },
        'Ada did decision on test/orders/0: poison',
        'info',
      ],
    ];

    it.each(acts)('says who did a %s, to what and why', async (kind, act, summary, severity) => {
      const verified = await test.act(act);
      const { entry, digest } = verified;
      expect(await told(controlCause(verified))).toEqual({
        id: `control-${digest.slice(0, 32)}`,
        type: `dev.headgate.control.${kind}`,
        subject: `control/${entry.seq}`,
        time: entry.time,
        severity,
        summary,
        data: entry,
      });
    });

    it('says that a schema was replaced, however often, and nothing of the first', async () => {
      const schema = (name: string) =>
        ({ version: 1, format: 'json', columns: [{ name, path: [name], type: 'string' }] }) as const;
      const first = (await test.ledger.control.read(0))!;
      const later = [await test.pinSchema(TOPIC, schema('a')), await test.pinSchema(TOPIC, schema('b'))];
      expect(first.entry.kind).toBe('schema');
      expect(await told(controlCause(first))).toBeUndefined();
      for (const act of later)
        expect(await told(controlCause(act))).toMatchObject({
          type: 'dev.headgate.control.schema',
          severity: 'warning',
          summary: expect.stringMatching(/^ingest replaced the schema of "orders", which has no baseline/) as string,
        });
      await store.delete(test.ledger.layout.state(first.entry.state));
      const owed = (await finder(test.reopened()).find()).flatMap((cause) =>
        cause.about === 'control' ? [cause.seq] : [],
      );
      expect(owed).toEqual(expect.arrayContaining(later.map(({ entry }) => entry.seq)));
    });

    it('is critical when it is a rollback', async () => {
      await test.commit(a);
      await test.publisher().publish(never);
      const from = (await test.ledger.control.head()).state.refs['main']!;
      const act: ControlAct = {
        kind: 'rollback',
        by: 'Ada',
        ref: 'main',
        from,
        to: BASELINE,
        baselines: {},
        reason: 'r',
      };
      expect(await told(controlCause(await test.act(act)))).toMatchObject({
        type: 'dev.headgate.control.rollback',
        severity: 'critical',
        summary: 'Ada did rollback on "main": r',
      });
    });
  });

  describe('about a halt', () => {
    it('says which partition stopped, before which offset and why', async () => {
      const cause = haltCause(a, new HaltError('GAP', 'Cannot read on: offsets 5 to 9 are gone'), 5, HALTED_AT);
      expect(await told(cause)).toEqual({
        id: alertId(cause),
        type: 'dev.headgate.partition.halted',
        subject: 'test/orders/0@5',
        time: HALTED_AT,
        severity: 'critical',
        summary: 'Partition test/orders/0 has stopped: Cannot read on: offsets 5 to 9 are gone',
        data: { log: 'test/orders/0', code: 'GAP', next: 5 },
      });
    });

    it('says nothing of its own where a rule has stopped the partition: its batch tells that', async () => {
      const batch = await test.commit(a, { verdict: 'suspect', halts: true });
      const { desk, queue } = await openDesk(test.reopened(), [channel]);
      await desk.notify(causeOf(batch));
      await desk.notify(haltCause(a, new HaltError('RULE', 'Cannot go on'), batch.entry.end, HALTED_AT));
      await desk.catchUp(finder(test.ledger), never);
      await queue.drain();
      const about = channel.delivered.map(({ id }) => id).filter((id) => !id.startsWith('control-'));
      expect(about).toEqual([`batch-${batch.digest.slice(0, 32)}`]);
    });
  });

  describe('made of hostile text', () => {
    const HOSTILE = 'gone\r\n\u{1b}[2J\u{1b}]0;x\u{7}\u{202e}\u{2028}\u{200b}\u{d800}\u{0} all is well';

    it('has a summary of one line, in which nothing hides or moves, whatever it is about', async () => {
      const halt = haltCause(partition(0, HOSTILE), new HaltError('GAP', HOSTILE), 0, HALTED_AT);
      const batch = await test.commit(a, {
        verdict: 'suspect',
        judgement: { findings: [finding({ sentence: HOSTILE })] },
      });
      const held = await test.act({ kind: 'hold', by: HOSTILE, ref: 'main', reason: HOSTILE });
      for (const cause of [halt, causeOf(batch), controlCause(held)]) {
        const { summary, subject, id } = (await told(cause))!;
        expect(summary).toContain('all is well');
        for (const text of [summary, subject, id]) expect(text).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
      }
    });

    it('is one line of a console and sound JSON for a webhook', async () => {
      const lines: string[] = [];
      const stream = new Writable({
        write: (line: Buffer, _encoding, done) => {
          lines.push(line.toString('utf8'));
          done();
        },
      });
      const { desk, queue } = await openDesk(test.reopened(), [
        channel,
        ...(['human', 'json'] as const).map((format) => new ConsoleAlertChannel({ name: format, stream, format })),
      ]);
      await desk.notify(controlCause(await test.act({ kind: 'hold', by: HOSTILE, ref: 'main', reason: HOSTILE })));
      await queue.drain();
      expect(lines).toHaveLength(2);
      for (const line of lines) expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      const body = JSON.parse(Buffer.from(cloudEventBody(channel.delivered[0]!, 'urn:x')).toString('utf8')) as {
        data: { summary: string };
      };
      expect(body.data.summary).toBe(channel.delivered[0]!.summary);
    });
  });

  describe('asked for by a forged job', () => {
    let clean: LoggedBatch;
    let suspect: LoggedBatch;
    let published: VerifiedControlEntry;
    let desk: OpenDesk;
    /** Puts jobs into the queue, as whoever can write to its server can. */
    const forge = async (...jobs: readonly Record<string, unknown>[]): Promise<void> => {
      for (const [i, data] of jobs.entries()) {
        await desk.queue.add({ id: `forged-${i}`, kind: ALERT_JOB, data: data as Job['data'] });
      }
      await desk.queue.drain();
    };

    beforeEach(async () => {
      clean = await test.commit(a);
      suspect = await test.commit(a, { verdict: 'suspect' });
      await test.publisher().publish(never);
      published = (await test.ledger.control.head()).newest!;
      desk = await openDesk(test.reopened(), [channel]);
    });

    it('is not sent when the job makes no sense', async () => {
      await forge(
        {},
        { channel: 'hook' },
        { ...causeOf(suspect) },
        { ...causeOf(suspect), channel: 'other' },
        { ...causeOf(suspect), channel: '__proto__' },
        { ...causeOf(suspect), channel: 0 },
        { ...causeOf(suspect), channel: 'hook', summary: 'all is well' },
        { ...causeOf(suspect), channel: 'hook', log: '../../etc' },
        { ...causeOf(suspect), channel: 'hook', slot: -1 },
        { about: 'news', text: 'all is well', channel: 'hook' },
      );
      expect(channel.tried).toEqual([]);
      expect(desk.queue.failures).toEqual([]);
    });

    it('is not sent about what the ledger does not hold', async () => {
      const { digest } = suspect;
      await forge(
        { ...causeOf(suspect), digest: 'f'.repeat(64), channel: 'hook' },
        { ...causeOf(suspect), slot: clean.entry.slot, channel: 'hook' },
        { ...causeOf(suspect), slot: 99, channel: 'hook' },
        { ...causeOf(suspect), slot: 0, channel: 'hook' },
        { ...causeOf(suspect), log: 'test/orders/7', channel: 'hook' },
        { about: 'control', seq: 99, digest, channel: 'hook' },
        { about: 'control', seq: published.entry.seq, digest, channel: 'hook' },
        { ...controlCause((await test.ledger.control.read(2))!), digest: published.digest, channel: 'hook' },
      );
      expect(channel.tried).toEqual([]);
      expect(new Set(desk.queue.failures.map(({ error }) => (error as { code: string }).code))).toEqual(
        new Set(['CHAIN_BROKEN']),
      );
    });

    it('is not sent about what nobody need hear: a clean batch, an act of a machine', async () => {
      await forge(
        { ...causeOf(clean), channel: 'hook' },
        { ...controlCause(published), channel: 'hook' },
        { ...controlCause((await test.ledger.control.read(0))!), channel: 'hook' },
        { ...controlCause((await test.ledger.control.read(1))!), channel: 'hook' },
      );
      expect(channel.tried).toEqual([]);
      expect(desk.queue.failures).toEqual([]);
      expect(await keysOf(store, test.ledger.layout.receipts())).toEqual([]);
    });

    it('does not pass for another one: the receipt is of what was sent', async () => {
      const held = await test.act({ kind: 'hold', by: 'Ada', ref: 'main', reason: 'r' });
      const id = `${alertId(causeOf(suspect))}-hook`;
      await desk.queue.add({ id, kind: ALERT_JOB, data: { ...controlCause(held), channel: 'hook' } });
      await desk.queue.drain();
      expect(channel.delivered.map((alert) => alert.id)).toEqual([alertId(controlCause(held))]);
      await desk.desk.notify(causeOf(suspect));
      await desk.queue.drain();
      expect(channel.delivered.map((alert) => alert.id)).toEqual([controlCause(held), causeOf(suspect)].map(alertId));
    });

    it('does not keep the true one from being sent', async () => {
      await forge(
        { ...causeOf(suspect), digest: 'f'.repeat(64), channel: 'hook' },
        { ...causeOf(suspect), channel: 'hook', summary: 'x' },
      );
      await desk.desk.notify(causeOf(suspect));
      await desk.queue.drain();
      expect(channel.delivered.map((alert) => alert.id)).toEqual([alertId(causeOf(suspect))]);
    });
  });
});

/** What must not be found in anything that leaves the store. */
const SECRET = 'Atlantis-0451';

describe('what an alert tells of records', () => {
  let test: TestLedger;
  let count = 0;
  /** Everything that leaves the store for one batch: the alert, its job, and what a webhook would send. */
  const leaving = async (
    batch: LoggedBatch,
    alertColumns: (topic: string) => readonly string[] = () => [],
  ): Promise<string> => {
    const channel = new RecordingChannel(`hook-${++count}`);
    const { desk, queue } = await openDesk(test.ledger, [channel], alertColumns);
    await desk.notify(causeOf(batch));
    await queue.drain();
    expect(channel.delivered).toHaveLength(1);
    const body = Buffer.from(cloudEventBody(channel.delivered[0]!, 'urn:x')).toString('utf8');
    return [body, JSON.stringify(queue.added)].join('\n');
  };
  const suspect = (findings: readonly Finding[], log = a) =>
    test.commit(log, { verdict: 'suspect', judgement: { findings } });

  beforeAll(async () => {
    test = await TestLedger.open();
  });

  it('is nothing of their values, keys and headers', async () => {
    const secret = Buffer.from(SECRET);
    const records = [
      { offset: 0, key: `key-${SECRET}`, value: JSON.stringify({ id: 451_045_104, amount: 4510.451, city: SECRET }) },
      { offset: 1, value: `no json: ${SECRET}`, headers: [{ name: secret, value: secret }] },
    ];
    const batch = await test.commit(partition(1), { verdict: 'suspect', records });
    const text = await leaving(batch, () => ['id', 'amount', 'city']);
    for (const value of [SECRET, '451045104', '4510.451']) expect(text).not.toContain(value);
  });

  it('is what explains a finding, once its column is opted in for that topic', async () => {
    const batch = await suspect([finding({ columns: ['city'], detail: [SECRET] })]);
    expect(await leaving(batch)).not.toContain(SECRET);
    expect(await leaving(batch, (topic) => (topic === 'returns' ? ['city'] : []))).not.toContain(SECRET);
    expect(await leaving(batch, () => ['City', 'city ', 'amount', '*'])).not.toContain(SECRET);
    expect(await leaving(batch, (topic) => (topic === TOPIC ? ['city'] : []))).toContain(SECRET);
  });

  it('is nothing of a finding about several columns while one of them is closed, or about none', async () => {
    const both = await suspect([finding({ columns: ['city', 'amount'], detail: [SECRET] })]);
    expect(await leaving(both, () => ['city'])).not.toContain(SECRET);
    expect(await leaving(both, () => ['amount', 'city'])).toContain(SECRET);
    const none = await suspect([finding({ columns: [], detail: [SECRET] })]);
    expect(await leaving(none, () => ['city', 'amount', ''])).not.toContain(SECRET);
  });

  it('is nothing of the evidence beside the findings, and no field that a finding should not have', async () => {
    const odd = { ...finding({ detail: [SECRET] }), samples: [SECRET], values: { city: SECRET } } as Finding;
    const judgement = { findings: [odd], samples: [SECRET] };
    const batch = await test.commit(a, { verdict: 'suspect', judgement });
    expect(await leaving(batch)).not.toContain(SECRET);
  });

  it('is told for exactly the findings whose columns are all opted in, whatever columns are called', async () => {
    const names = [
      'city',
      'amount',
      '',
      '__proto__',
      'constructor',
      'length',
      '0',
      'a\nb',
      '\u{202e}ytic',
      'city\u{0}',
    ];
    const column = fc.constantFrom(...names);
    const findings = fc.array(
      fc.record({ columns: fc.uniqueArray(column, { maxLength: 3 }), noise: fc.string({ unit: 'binary' }) }),
      { minLength: 1, maxLength: 5 },
    );
    await fc.assert(
      fc.asyncProperty(findings, fc.uniqueArray(column), async (given, opted) => {
        const made = given.map(({ columns, noise }, i) => finding({ columns, detail: [noise, `${SECRET}-${i}-`] }));
        const text = await leaving(await suspect(made), () => opted);
        for (const [i, { columns }] of given.entries()) {
          const isOpen = columns.length > 0 && columns.every((name) => opted.includes(name));
          expect(text.includes(`${SECRET}-${i}-`)).toBe(isOpen);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('is nothing of what the real detectors found, unless it is opted in', async () => {
    const random = randomOf(5);
    const orders = (city: () => string, amount = 1): string[] =>
      Array.from({ length: 600 }, (_, i) => {
        const order = { id: i, amount: Math.round(100 * amount * (10 + 20 * random())) / 100, city: city() };
        return JSON.stringify(order);
      });
    const usual = () => ['Basel', 'Bern', 'Chur', 'Genf'][Math.floor(4 * random())]!;
    const log = partition(2);
    const profiles = [];
    for (let i = 0; i < 10; i++) {
      const batch = await test.commit(log, { verdict: 'no-baseline', values: orders(usual) });
      profiles.push((await readEvidence(test.ledger, batch)).profile);
    }
    const baseline = prepareBaseline(learnBaseline(profiles));
    const values = orders(() => (random() < 0.1 ? `${SECRET}-${Math.floor(3 * random())}` : usual()), 10);
    const poisoned = await test.commit(partition(3), { verdict: 'failed', values });
    const { profile } = await readEvidence(test.ledger, poisoned);
    const judgement = judge(profile, baseline);
    expect(judgement.outcome).toBe('suspect');
    expect(JSON.stringify(judgement.findings.map(({ detail }) => detail))).toContain(SECRET);
    expect(JSON.stringify(profile)).toContain(SECRET);
    const batch = await test.commit(log, { verdict: 'suspect', values, judgement });
    const closed = await leaving(batch);
    expect(closed).not.toContain(SECRET);
    for (const city of ['Basel', 'Bern', 'Chur', 'Genf']) expect(closed).not.toContain(city);
    const amounts = values.map((value) => String((JSON.parse(value) as { amount: number }).amount));
    const numbers = new Set(closed.match(/\d+\.\d+/g));
    expect(amounts.filter((amount) => amount.includes('.') && numbers.has(amount))).toEqual([]);
    expect(await leaving(batch, () => ['city'])).toContain(SECRET);
  });
});
