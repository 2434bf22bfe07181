import { beforeEach, describe, expect, it } from 'vitest';

import type { Judgement } from '../../../src/detect/judgement.ts';
import { nextSeq } from '../../../src/ledger/control-log.ts';
import type { LoggedBatch } from '../../../src/ledger/partition-log.ts';
import { readEvidence } from '../../../src/ledger/evidence.ts';
import { refOf } from '../../../src/publish/reconsider.ts';
import { encodeRejudgement, findJudgement } from '../../../src/publish/rejudgement.ts';
import { sha256Hex } from '../../../src/record/sha256.ts';
import { judgementInForce } from '../../../src/respond/judgement-in-force.ts';
import { rollback } from '../../../src/respond/refs.ts';
import { overwrite } from '../../support/forge.ts';
import { TestLedger, never, partition } from '../../support/ledger.ts';

describe('the judgement in force', () => {
  let test: TestLedger;
  let batch: LoggedBatch;
  let other: LoggedBatch;
  let own: Judgement;

  beforeEach(async () => {
    test = await TestLedger.open();
    batch = await test.commit(partition(0), { verdict: 'no-baseline' });
    other = await test.commit(partition(0), { verdict: 'no-baseline' });
    own = (await readEvidence(test.ledger, batch)).judgement;
  });

  async function judgeAgain(
    batches: readonly LoggedBatch[],
    outcome: 'clean' | 'suspect',
    score: number,
    as: 'each' | 'union' = 'each',
  ): Promise<Judgement> {
    const judgement: Judgement = { ...own, outcome, reason: null, score };
    const bytes = encodeRejudgement(
      as,
      batches,
      batches.map(() => judgement),
    );
    const evidence = sha256Hex(bytes);
    await test.store.create(test.ledger.layout.judgement(evidence), bytes);
    const baseline = (await test.ledger.control.head()).state.baselines['orders']!;
    await test.act({ kind: 'verdict', by: 'publisher', batches: batches.map(refOf), outcome, baseline, evidence });
    return judgement;
  }

  it('is the batch’s own while nobody judged it again', async () => {
    await judgeAgain([other], 'suspect', 3);
    expect(await judgementInForce(test.reopened(), batch)).toEqual({
      judgement: own,
      baseline: null,
      seq: null,
      time: batch.entry.time,
      together: 1,
      union: [],
      evidence: batch.entry.evidence.key,
    });
  });

  it('is looked for no further than where the state or its own verdict says that it can be', async () => {
    const suspect = await test.commit(partition(0), { verdict: 'suspect' });
    await judgeAgain([batch], 'suspect', 3);
    for (let i = 0; i < 5; i++) await test.approveBaseline(`later ${i}`);
    const ledger = test.reopened();
    const end = nextSeq(await ledger.control.head());
    const reads: number[] = [];
    const read = ledger.control.read.bind(ledger.control);
    ledger.control.read = async (seq) => {
      reads.push(seq);
      return read(seq);
    };
    const { seq } = await judgementInForce(ledger, batch);
    expect(await judgementInForce(ledger, suspect)).toMatchObject({ seq: null });
    // The head itself is asked for each time.
    expect(reads.filter((each) => each < end)).toEqual([seq]);
  });

  it('is looked for behind a resume, which may have judged what was suspect again', async () => {
    const suspect = await test.commit(partition(0), { verdict: 'suspect' });
    await judgeAgain([suspect], 'clean', 0);
    const { state } = await test.ledger.control.head();
    await test.act({ kind: 'resume', by: 'a person', ref: 'main', reason: 'r' });
    expect(Object.keys(state.verdicts)).toEqual([suspect.digest]);
    await test.publisher(async () => null).publish(never);
    expect((await test.ledger.control.head()).state.verdicts).toEqual({});
    expect((await judgementInForce(test.reopened(), suspect)).judgement.outcome).toBe('clean');
  });

  it('is the newest of those that came later', async () => {
    await judgeAgain([batch, other], 'suspect', 3);
    const last = await judgeAgain([batch], 'clean', 4);
    const inForce = await judgementInForce(test.reopened(), batch);
    expect(inForce.judgement).toEqual(last);
    expect(inForce.baseline).toMatch(/^[0-9a-f]{64}$/);
    expect((await test.ledger.control.read(inForce.seq!))!.entry).toMatchObject({ kind: 'verdict', outcome: 'clean' });
    expect((await judgementInForce(test.reopened(), other)).judgement.score).toBe(3);
  });

  it('is not that a batch is clean, where another baseline was put in force before a publish took that up', async () => {
    await judgeAgain([batch], 'clean', 3);
    await judgeAgain([other], 'suspect', 4);
    await test.approveBaseline('second');
    expect(await judgementInForce(test.reopened(), batch)).toMatchObject({ judgement: own, seq: null });
    expect((await judgementInForce(test.reopened(), other)).judgement.score).toBe(4);
  });

  it('stays that a batch is clean, where a publish took that up before another baseline was put in force', async () => {
    await judgeAgain([batch], 'clean', 3);
    await test.publisher(async () => null).publish(never);
    await test.approveBaseline('second');
    expect((await judgementInForce(test.reopened(), batch)).judgement.score).toBe(3);
  });

  describe('after a rollback', () => {
    const publish = async (): Promise<string> => {
      await test.publisher(async () => null).publish(never);
      return (await test.ledger.control.head()).state.refs['main']!;
    };
    const goBack = async (to: string): Promise<void> => {
      await rollback(test.ledger, 'main', to, test.person(), never);
    };
    const inForce = async (which: LoggedBatch): Promise<readonly [outcome: string, score: number]> => {
      const { judgement } = await judgementInForce(test.reopened(), which);
      return [judgement.outcome, judgement.score];
    };

    it.each([
      ['taken up by a publish', true],
      ['not taken up', false],
    ])('is its own again, where the verdict came after the target and was %s', async (_, isTakenUp) => {
      const target = await publish();
      await test.commit(partition(1));
      await publish();
      await judgeAgain([batch], 'clean', 3);
      if (isTakenUp) await publish();
      expect(await inForce(batch)).toEqual(['clean', 3]);
      await goBack(target);
      expect(await inForce(batch)).toEqual([own.outcome, own.score]);
      await test.act({ kind: 'resume', by: 'a person', ref: 'main', reason: 'r' });
      expect(await inForce(batch)).toEqual([own.outcome, own.score]);
      await judgeAgain([batch], 'suspect', 5);
      expect(await inForce(batch)).toEqual(['suspect', 5]);
    });

    it('is that which the target was made of, however often the ref went back to it', async () => {
      await publish();
      await judgeAgain([batch], 'suspect', 3);
      const target = await publish();
      for (const score of [4, 5]) {
        await judgeAgain([other], 'clean', score);
        await publish();
        expect([await inForce(batch), await inForce(other)]).toEqual([
          ['suspect', 3],
          ['clean', score],
        ]);
        await goBack(target);
        expect([await inForce(batch), await inForce(other)]).toEqual([
          ['suspect', 3],
          [own.outcome, own.score],
        ]);
        await test.act({ kind: 'resume', by: 'a person', ref: 'main', reason: 'r' });
      }
    });
  });

  it('says how many batches were judged as one with it', async () => {
    await judgeAgain([batch, other], 'suspect', 3);
    expect((await judgementInForce(test.reopened(), batch)).together).toBe(1);
    await judgeAgain([batch, other], 'suspect', 3, 'union');
    expect((await judgementInForce(test.reopened(), batch)).together).toBe(2);
  });

  it('is not taken from an object that was changed', async () => {
    await judgeAgain([batch], 'suspect', 3);
    const { objects } = await test.store.list(test.ledger.layout.judgement('x'.repeat(64)).replace(/x+.*$/, ''), {
      limit: 9,
    });
    await overwrite(test.store, objects[0]!.key, Buffer.from('{}'));
    await expect(judgementInForce(test.reopened(), batch)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });
});

describe('a stored judgement', () => {
  it.each(['', '[]', '{"version":2}', '{"version":1,"as":"each","batches":[],"judgements":[1]}'])(
    'is refused as %j',
    (text) => {
      expect(() => findJudgement(Buffer.from(text), 'x', '0')).toThrow(
        expect.objectContaining({ code: 'PAYLOAD_INVALID' }),
      );
    },
  );
});
