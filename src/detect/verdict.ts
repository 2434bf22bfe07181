import { cauchyTail, cotPi, ln, round12 } from './arithmetic.ts';
import { familyTail, scaleAt, scoreFamilies, scoreOfTail, unusualness } from './baseline/calibrate.ts';
import type { FamilyLaw, StatisticHistory } from './baseline/calibrate.ts';
import { sampleLosses } from './baseline/learn-labels.ts';
import { hashesOf, measureWith, patternsWithout } from './baseline/learn.ts';
import type { PreparedBaseline } from './baseline/prepare.ts';
import { DETECTORS } from './detectors/all.ts';
import { findUndecoded, isOfAllRecords } from './detectors/schema.ts';
import { usualVolumeIn } from './detectors/volume.ts';
import { fromScale } from './detectors/detector.ts';
import type { DetectorContext, Family, HardFinding, Statistic, StatisticScale } from './detectors/detector.ts';
import type { Finding, Judgement } from './judgement.ts';
import { observe } from './observe.ts';
import type { Profile } from './profile.ts';
import { NO_VALUES } from './sketch/top-values.ts';
import { ruleFindings } from './rules.ts';

/** Share of clean batches that may be held, whole verdict. */
export const BUDGET_DEFAULT = 0.001;
/** Rows below which nothing is decided. */
export const RECORDS_MIN_DEFAULT = 500;
/** Findings listed at most. */
export const FINDINGS_MAX = 20;

/** How a batch is judged. */
export interface JudgeSettings {
  /** Share of clean batches that may be held, in (0, 0.5]. Half of it is spent on the p-value; the rest is for hard rules
   * and tests over many batches. */
  readonly budget: number;
  /** Decoded rows below which only hard rules decide, and the share of records that did not decode if there are as many records. */
  readonly recordsMin: number;
}

/** Settings of a pipeline that sets none. */
export const JUDGE_DEFAULTS: JudgeSettings = { budget: BUDGET_DEFAULT, recordsMin: RECORDS_MIN_DEFAULT };

/** Judges one batch by one baseline and nothing else: no clock, no chance. Same profile, baseline and settings, same bytes.
 *
 * Exact counts of the profile are used only if they were made for this very baseline; otherwise its sketches and its sample
 * answer, a little less sharply.
 * A batch that the baseline itself was learned from finds its own rows there and looks like a replay: judge such a batch by
 * an older baseline.
 * @param baseline null before there is one: then only the user's rules can hold the batch.
 * Cost: about 1 ms for ten columns. */
export function judge(
  profile: Profile,
  baseline: PreparedBaseline | null,
  settings: JudgeSettings = JUDGE_DEFAULTS,
): Judgement {
  const rules = ruleFindings(profile.rules);
  if (baseline === null) return conclude(null, rules, [], 1, settings, 'no-baseline');
  const broken: Finding[] = [];
  const statistics: ReturnType<typeof measureWith> = [];
  let running = 'context';
  try {
    const context = contextOf(profile, baseline);
    for (const detector of DETECTORS) {
      running = detector.id;
      for (const found of detector.check?.(context) ?? []) broken.push(fromHard(found, detector.family));
      for (const statistic of measureWith(detector, context)) statistics.push(statistic);
    }
  } catch (error) {
    // A detector that fails must not pass for one that found nothing.
    const failure = { detector: running, message: describeError(error) };
    return { ...conclude(baseline.digest, rules, [], 1, settings, 'failed'), failure };
  }
  const isFew = profile.counts.records < settings.recordsMin;
  const undecoded = isFew ? [] : findUndecoded(profile, baseline.baseline.undecodedMax ?? null);
  const hard = [...rules, ...broken, ...undecoded.map((found) => fromHard(found, 'schema'))];
  const isSmall = profile.rows < settings.recordsMin;
  if (isSmall && isFew) return conclude(baseline.digest, hard, [], 1, settings, 'small');
  // Few rows of many records: the damage is what there is to judge.
  const judged = isSmall ? statistics.filter(isOfAllRecords) : statistics;
  const scores = scoreFamilies(judged, baseline.histories);
  const families = [...baseline.laws].map(([family, law]) => {
    const score = round12(scores.get(family) ?? 0);
    return { family, score, pValue: scores.has(family) ? round12(familyTail(law, score)) : 1 };
  });
  const soft = judged.flatMap((statistic) => softFinding(statistic, baseline) ?? []);
  soft.sort((a, b) => a.pValue - b.pValue || b.z - a.z);
  const pValue = combine(families.map((family) => family.pValue));
  const reason = isSmall && pValue > settings.budget / 2 ? 'small' : null;
  return conclude(baseline.digest, [...hard, ...soft], families, pValue, settings, reason);
}

const FAILURE_CHARACTERS_MAX = 500;

/** One line without characters that could pass for other text, and not too long to store. */
function describeError(error: unknown): string {
  const text = (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).slice(
    0,
    FAILURE_CHARACTERS_MAX,
  );
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\u{fffd}');
}

function contextOf(profile: Profile, prepared: PreparedBaseline): DetectorContext {
  const { baseline } = prepared;
  const bound = profile.bound?.baseline === prepared.digest ? profile.bound : null;
  const losses =
    bound?.losses ?? (baseline.model === null ? null : sampleLosses(profile, baseline.model, prepared.bins));
  const columns = baseline.columns.map(({ reference }) => reference);
  return {
    batch: observe(profile, columns, bound, losses),
    expected: prepared.expected,
    knownPatterns: patternsWithout(baseline.nullPatterns, NO_VALUES),
    labels: baseline.labels,
    hashes: hashesOf(profile),
    past: baseline.past,
    usualVolume: usualVolumeIn(baseline.statistics),
  };
}

/** Highest p-value a family may bring: an unusually quiet family must not cancel a loud one. */
const P_CEILING = 0.8;
const P_FLOOR = 1e-15;

/** One p-value of several, whatever their dependence: truncated Cauchy combination.
 * Source: Liu and Xie, "Cauchy combination test" (2020); truncation: Fang et al. (2023). */
export function combine(pValues: readonly number[]): number {
  if (pValues.length === 0) return 1;
  let sum = 0;
  for (const p of pValues) sum += cotPi(Math.min(P_CEILING, Math.max(P_FLOOR, p)));
  return round12(cauchyTail(sum / pValues.length));
}

function conclude(
  digest: string | null,
  findings: readonly Finding[],
  families: Judgement['families'],
  pValue: number,
  settings: JudgeSettings,
  reason: Judgement['reason'],
): Judgement {
  const threshold = -ln(settings.budget / 2) / ln(10);
  const held = findings.some((finding) => finding.hard);
  const score = round12(-ln(pValue) / ln(10));
  const suspect = held || (reason === null && pValue <= settings.budget / 2);
  return {
    outcome: suspect ? 'suspect' : reason === null ? 'clean' : 'undecided',
    reason: suspect ? null : reason,
    baseline: digest,
    score: held ? round12(Math.max(score, threshold) + 1) : score,
    pValue,
    families,
    findings: findings.slice(0, FINDINGS_MAX),
  };
}

function fromHard(found: HardFinding, family: Family): Finding {
  const { detector, statistic, columns, value, expected, sentence, values } = found;
  return {
    family,
    detector,
    columns,
    statistic,
    value,
    expected,
    z: 0,
    pValue: 0,
    hard: true,
    action: null,
    sentence,
    detail: values ?? [],
  };
}

/** Chance below which a statistic is worth a sentence. */
const TOLD_BELOW = 0.01;

function softFinding(statistic: Statistic & { readonly family: Family }, baseline: PreparedBaseline): Finding | null {
  const history = baseline.histories.get(statistic.id);
  const law = baseline.laws.get(statistic.family);
  if (!statistic.votes || history === undefined || law === undefined) return null;
  const z = round12(unusualness(statistic, history));
  const pValue = round12(familyTail(law, z));
  if (pValue > TOLD_BELOW) return null;
  const { family, detector, columns, name, scale, x, side } = statistic;
  const value = round12(fromScale(scale, x));
  const expected = usualRange(statistic, history, law);
  const usual =
    side === 'high'
      ? `up to ${show(scale, expected[1])}`
      : `${show(scale, expected[0])} to ${show(scale, expected[1])}`;
  const sentence = `${statistic.subject} is ${show(scale, value)}; ${usual} is usual`;
  return {
    family,
    detector,
    columns,
    statistic: name,
    value,
    expected,
    z,
    pValue,
    hard: false,
    action: null,
    sentence,
    detail: [],
  };
}

function usualRange(statistic: Statistic, history: StatisticHistory, law: FamilyLaw): readonly [number, number] {
  const reach = Math.max(0, scoreOfTail(law, TOLD_BELOW)) * scaleAt(history, statistic.error);
  const low = round12(fromScale(statistic.scale, history.centre - reach));
  return [
    statistic.side === 'high' ? Math.min(0, low) : low,
    round12(fromScale(statistic.scale, history.centre + reach)),
  ];
}

/** A number for a sentence: shares in per cent, three significant digits. */
function show(scale: StatisticScale, value: number): string {
  return scale === 'share' ? `${Number((100 * value).toPrecision(3))} %` : String(Number(value.toPrecision(3)));
}
