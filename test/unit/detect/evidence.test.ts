import { describe, expect, it } from 'vitest';

import { canonicalJson } from '../../../src/record/canonical.ts';
import { decodeEvidence, encodeEvidence, type Evidence } from '../../../src/detect/evidence.ts';
import { judge } from '../../../src/detect/verdict.ts';
import { profileRows } from '../../support/flights.ts';

const profile = profileRows(
  Array.from({ length: 20 }, (_, i) => ({ n: i / 8, s: `text ${i % 3}` })),
  null,
  { n: 'float64', s: 'string' },
  { label: null, source: null, time: null },
);
const evidence: Evidence = {
  version: 1,
  judgement: judge(profile, null),
  skipped: [{ from: 3, to: 5, reason: 'control' }],
  profile,
};

describe('evidence', () => {
  it('comes back from its bytes, and makes the same bytes again', () => {
    const bytes = encodeEvidence(evidence);
    expect(decodeEvidence(bytes, 'e')).toEqual(JSON.parse(bytes.toString('utf8')));
    expect(encodeEvidence(decodeEvidence(bytes, 'e'))).toEqual(bytes);
  });

  it.each([
    ['that is no JSON', '{'],
    ['of another version', canonicalJson({ ...evidence, version: 2 })],
    ['without a profile', canonicalJson({ ...evidence, profile: undefined })],
    ['with a field more in its profile', canonicalJson({ ...evidence, profile: { ...profile, more: 1 } })],
    ['whose profile does not add up', canonicalJson({ ...evidence, profile: { ...profile, rows: 19 } })],
  ])('is refused %s', (_, text) => {
    expect(() => decodeEvidence(Buffer.from(text), 'e')).toThrow(expect.objectContaining({ code: 'PAYLOAD_INVALID' }));
  });
});
