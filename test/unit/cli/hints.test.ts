import { describe, expect, it } from 'vitest';

import { Unjudged, whyNoBaseline } from '../../../src/cli/hints.ts';
import { EMPTY_STATE, type ControlState } from '../../../src/ledger/control-state.ts';
import type { UndecidedReason } from '../../../src/ledger/partition-entry.ts';

const DIGEST = 'ab'.repeat(32);
const learned: Partial<ControlState> = { candidates: { orders: DIGEST } };
const inForce: Partial<ControlState> = { baselines: { orders: DIGEST } };

const state = (more: Partial<ControlState> = {}): ControlState => ({ ...EMPTY_STATE, refs: { main: DIGEST }, ...more });

function hints(
  batches: readonly (readonly [string, UndecidedReason])[],
  now: ControlState,
  { publishes = true, mode = 'enforce' }: { publishes?: boolean; mode?: 'enforce' | 'observe' } = {},
): string[] {
  const unjudged = new Unjudged();
  for (const [topic, reason] of batches) unjudged.add(topic, reason);
  return unjudged.hints(now, { ref: 'main', mode, recordsMin: 500, publishes });
}

describe('the hint after a run', () => {
  it.each([
    ['to learn', state(), 'there is no baseline yet: headgate baseline learn --held'],
    ['to approve', state(learned), 'a learned baseline waits for approval: headgate baseline approve'],
    [
      'to publish first',
      state({ refs: {} }),
      'there is no baseline yet, and "main" is not published: headgate publish --once',
    ],
    ['to publish', state(inForce), '2 batches wait to be judged by the new baseline: headgate publish --once'],
  ])('for want of a baseline is %s, whatever is next', (_, now, hint) => {
    expect(
      hints(
        [
          ['orders', 'no-baseline'],
          ['orders', 'no-baseline'],
        ],
        now,
        { publishes: false },
      ),
    ).toEqual([hint]);
  });

  it('tells of batches that are too small that they are, and not of a baseline', () => {
    const small =
      '1 batch in which fewer than 500 records decoded: too few to be judged alone, judged together when published';
    for (const now of [state(), state(learned), state(inForce)])
      expect(hints([['orders', 'small']], now)).toEqual([small]);
  });

  it('tells of judging that failed where to look', () => {
    expect(hints([['orders', 'failed']], state(inForce))).toEqual([
      'judging 1 batch failed: headgate quarantine list shows them',
    ]);
  });

  it('of observe mode, which holds nothing, is to learn from what is published', () => {
    const observe = (reason: UndecidedReason, now: ControlState): string[] =>
      hints([['orders', reason]], now, { publishes: false, mode: 'observe' });
    expect(observe('no-baseline', state())).toEqual(['there is no baseline yet: headgate baseline learn --published']);
    expect(observe('no-baseline', state(inForce))).toEqual([]);
    for (const reason of ['small', 'failed'] as const)
      expect(observe(reason, state(inForce))).toEqual([
        expect.stringMatching(/published all the same(: headgate quarantine list --published shows them)?$/),
      ]);
  });

  it('is none when the run has published what waited, or all was judged', () => {
    expect(hints([['orders', 'no-baseline']], state(inForce))).toEqual([]);
    expect(hints([], state())).toEqual([]);
  });

  it('names the topic where there are several', () => {
    expect(
      hints(
        [
          ['orders', 'no-baseline'],
          ['returns', 'no-baseline'],
        ],
        state(learned),
      ),
    ).toEqual([
      'topic "orders": a learned baseline waits for approval: headgate baseline approve --topic orders',
      'topic "returns": there is no baseline yet: headgate baseline learn --held --topic returns',
    ]);
  });
});

describe('why a batch that was read before there was a baseline is held', () => {
  it.each([
    [state(), 600, 'there is no baseline yet (headgate baseline learn --held)'],
    [state(learned), 600, 'a learned baseline waits for approval (headgate baseline approve)'],
    [state(inForce), 600, 'the next publish judges it by the new baseline'],
    [
      state(inForce),
      1,
      '1 of the 500 records that judging takes: judged together with the next small batches, or by a person (headgate quarantine release)',
    ],
  ])('follows what is true now', (now, rows, why) => {
    expect(whyNoBaseline({ topic: 'orders', rows }, now, 500)).toBe(why);
  });
});
