import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import { topicConfig } from '../../config/topic-config.ts';
import { openTopics, sketchSeed } from '../../compose/ingest.ts';
import { openS3Object } from '../../compose/ledger.ts';
import { scopeOf, topicsOfSource } from '../../compose/misfits.ts';
import { openFilesFor, pathsWithoutFiles } from '../../compose/source.ts';
import { readBaseline } from '../../publish/rejudge.ts';
import type { Baseline } from '../../detect/baseline/baseline.ts';
import type { Profile } from '../../detect/profile.ts';
import { HeadgateError, NotFoundError, RequestError } from '../../errors.ts';
import { profileSource } from '../../ingest/profile-source.ts';
import { formatLogId } from '../../record/log-id.ts';
import { quoteName } from '../../record/quote-name.ts';
import { suggest } from '../../record/suggest.ts';
import { approve } from '../../respond/approve-baseline.ts';
import { learn } from '../../respond/learn-baseline.ts';
import {
  storedProfiles,
  type LearnFrom,
  type ProfilePlace,
  type StoredHistory,
} from '../../respond/stored-profiles.ts';
import { withLedger, type CommandContext, type CommandResult } from '../context.ts';
import { describeUndecoded } from '../dead-letters.ts';
import { copiesOf, describeLearned, type ReadHistory } from '../learned.ts';
import { counted } from '../output.ts';
import { onRef, type RefAct } from './refs.ts';

/** Ignored columns that a sentence names. */
const IGNORED_TOLD_MAX = 10;

/** Options of `headgate baseline learn`. */
export interface LearnOptions {
  readonly held?: boolean;
  readonly published?: boolean;
  readonly withSuspect?: boolean;
  readonly files?: string[];
  readonly topic?: string;
  readonly reason: string;
}

/** `headgate baseline learn`: a candidate from what is stored or from files. */
export function learnFrom(context: CommandContext, options: LearnOptions): Promise<CommandResult> {
  return onRef(context, options, (act) => learnOne(act, options));
}

async function learnOne(act: RefAct, options: LearnOptions): Promise<CommandResult> {
  const { context, loaded, ledger, actor, ref } = act;
  const topic = await topicOf(act, options.topic);
  const { recordsMin } = loaded.config.judge;
  let read: ReadHistory = { places: [], older: 0, rests: 0, restRecords: 0 };
  const profiles: Profile[] = [];
  if (options.files === undefined) {
    const told = (stored: StoredHistory) => (read = { ...read, ...stored });
    profiles.push(...(await storedProfiles(ledger, ref, topic, sourcesOf(options), { recordsMin, told })));
  } else read = await profileFiles(act, topic, options.files, profiles);
  const settings = { recordsMin, ignoredColumns: topicConfig(loaded.config, topic).ignoredColumns };
  const learned = await learn(ledger, topic, profiles, actor, context.kill, settings);
  const { content, copiesAt: _, ...others } = learned;
  const older = learned.older + read.older;
  const copiesAt = copiesOf(learned, read).map(({ place }) => place);
  const { unchecked, ignoredColumns } = await scopeOf(loaded, ledger, topic, content);
  const { restRecords } = read;
  context.output.result({ ...others, copiesAt, older, restRecords, ignoredColumns, unchecked }, [
    ...describeLearned(learned, read, recordsMin).map((each) => context.output.called(each)),
    ...describeIgnored(ignoredColumns).map((names) => `ignored: ${names}`),
    ...unchecked.map((each) => context.output.called(each)),
    ...(learned.batches < learned.batchesMin
      ? [
          `only ${counted(learned.batches, 'batch')}: until a baseline has ${learned.batchesMin}, hard rules alone decide`,
        ]
      : learned.batches < 30
        ? [`${counted(learned.batches, 'batch')}: judging is cautious until a baseline has 30`]
        : []),
    context.output.called(`put it in force with: headgate baseline approve ${learned.baseline.slice(0, 12)}`),
  ]);
  return undefined;
}

/** Which stored batches are meant; several options are joined. */
function sourcesOf({ held, published, withSuspect }: LearnOptions): LearnFrom[] {
  if (withSuspect !== true) {
    const from: LearnFrom[] = published === true ? ['published'] : [];
    return held === true || published !== true ? ['held', ...from] : from;
  }
  const from: LearnFrom[] = held === true ? ['held-suspect'] : [];
  return published === true || held !== true ? [...from, 'published-suspect'] : from;
}

/** Profiles files that are not part of the ledger; their schema is pinned if the topic has none yet. @param profiles filled */
async function profileFiles(
  { context, loaded, ledger }: RefAct,
  topic: string,
  paths: readonly string[],
  profiles: Profile[],
): Promise<ReadHistory> {
  if (paths.includes(''))
    throw new RequestError('REQUEST_INVALID', 'Cannot learn from files: a path is empty (--files PATH…)');
  const scratch = await mkdtemp(join(tmpdir(), 'headgate-learn-'));
  try {
    const local = await Promise.all(
      paths.map(async (path, i) =>
        path.startsWith('s3://') ? download(loaded, path, join(scratch, `${i}-${basename(path)}`), context.stop) : path,
      ),
    );
    const empty = await pathsWithoutFiles(loaded, topic, local, context.folder);
    if (empty.length > 0)
      throw new RequestError(
        'REQUEST_INVALID',
        `Cannot learn from files: ${empty.map((path) => `"${path}"`).join(', ')} ${empty.length === 1 ? 'leads' : 'lead'} to no file (paths start from ${context.folder})`,
      );
    await using source = openFilesFor(loaded, topic, local, context.folder);
    const topics = await openTopics(loaded, ledger, 'approver', (message) => context.output.note(message));
    const places: ProfilePlace[] = [];
    let rests = 0;
    let restRecords = 0;
    for await (const profile of profileSource(
      source,
      loaded.config.batch,
      sketchSeed(loaded),
      async (name, sample) => (await topics.context(name, [sample], true, context.kill))!,
      context.stop,
      ({ log, start, records, isLeftOut }) => {
        if (!isLeftOut) return places.push({ place: `${formatLogId(log)}@${start}`, standing: 'file' });
        rests++;
        return (restRecords += records);
      },
    )) {
      profiles.push(profile);
      context.output.progress(`${counted(profiles.length, 'batch')} profiled`);
    }
    return { places, older: 0, rests, restRecords };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function download(loaded: RefAct['loaded'], url: string, path: string, stop: AbortSignal): Promise<string> {
  await writeFile(path, await openS3Object(loaded, url, stop));
  return path;
}

/** Options of `headgate baseline approve`. */
export interface ApproveOptions {
  readonly topic?: string;
  readonly fewer?: boolean;
  readonly reason: string;
}

/** `headgate baseline approve`. @param id digest or its first digits; undefined for the newest candidate */
export function approveOne(
  context: CommandContext,
  id: string | undefined,
  options: ApproveOptions,
): Promise<CommandResult> {
  return onRef(context, options, (act) => putInForce(act, id, options));
}

async function putInForce(act: RefAct, id: string | undefined, options: ApproveOptions): Promise<CommandResult> {
  const { context, loaded, ledger, actor } = act;
  const topic = await topicOf(act, options.topic);
  const baseline = await approve(ledger, topic, id, actor, context.kill, options.fewer);
  const known = await contentOf(context, ledger, baseline);
  const { recordsMin } = loaded.config.judge;
  // Batches like those that it was learned from wait for others.
  const isSmall = known.rows !== undefined && known.rows < recordsMin;
  const next = isSmall
    ? `all that it was learned from is ${counted(known.rows, 'record')}: as small batches are held until they have ${recordsMin} together (judge.recordsMin), or a person lets them in: headgate quarantine release BATCH… --reason TEXT`
    : 'batches held for want of a baseline are judged with the next publish: headgate publish --once';
  context.output.result({ topic, baseline, undecoded: known.undecoded ?? null }, [
    `${baseline.slice(0, 12)} is in force for "${topic}"`,
    ...describeUndecoded(known).map((each) => context.output.called(each)),
    // Observe mode holds nothing.
    ...(loaded.config.mode === 'observe' ? [] : [context.output.called(next)]),
  ]);
  return undefined;
}

/** What a baseline was learned from. It is in force by now: that it cannot be read must not hide that. */
async function contentOf(
  { output }: CommandContext,
  ledger: RefAct['ledger'],
  sha256: string,
): Promise<Partial<Pick<Baseline, 'rows' | 'undecoded' | 'undecodedMax'>>> {
  try {
    return (await readBaseline(ledger, sha256)).baseline;
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error;
    output.note(`what it was learned from cannot be told: ${error.message}`);
    return {};
  }
}

/** `headgate baseline show`. @throws RequestError */
export async function showBaseline(
  context: CommandContext,
  id: string | undefined,
  topicName: string | undefined,
): Promise<CommandResult> {
  return withLedger(context, async (loaded, ledger) => {
    const { state } = await ledger.control.head();
    const topic = await topicOf({ loaded, ledger }, topicName);
    const known = [...Object.values(state.baselines), ...Object.values(state.candidates)];
    const sha256 =
      id === undefined
        ? (state.baselines[topic] ?? state.candidates[topic])
        : known.find((each) => each.startsWith(id));
    if (sha256 === undefined)
      throw new RequestError(
        'REQUEST_INVALID',
        `Cannot show a baseline of "${topic}": ${id === undefined ? 'there is none' : `neither one in force nor a candidate begins with "${id}"`}`,
      );
    const { baseline } = await readBaseline(ledger, sha256);
    const rows = baseline.columns.map(({ reference }) => [reference.name, reference.type]);
    const { unchecked, ignoredColumns } = await scopeOf(loaded, ledger, topic, baseline);
    context.output.result(
      { sha256, topic, inForce: state.baselines[topic] === sha256, ignoredColumns, unchecked, baseline },
      [
        `baseline  ${sha256}${state.baselines[topic] === sha256 ? ' (in force)' : ' (candidate)'}`,
        `learned   from ${counted(baseline.rows, 'row')} in ${counted(baseline.batches, 'batch')}, schema ${baseline.schema.slice(0, 12)}`,
        ...describeUndecoded(baseline).map((each) => `          ${context.output.called(each)}`),
        `checks    ${counted(baseline.statistics.length, 'statistic')} in ${counted(baseline.families.length, 'family')}`,
        ...describeIgnored(ignoredColumns).map((names) => `ignores   ${names}`),
        ...unchecked.map((each) => `but       ${context.output.called(each)}`),
        ...context.output.table(['column', 'type'], rows),
      ],
    );
    return undefined;
  });
}

/** Columns in a row; none if there are none. */
function describeIgnored(columns: readonly string[]): string[] {
  if (columns.length === 0) return [];
  const more = columns.length - IGNORED_TOLD_MAX;
  return [`${columns.slice(0, IGNORED_TOLD_MAX).map(quoteName).join(', ')}${more > 0 ? ` and ${more} more` : ''}`];
}

/**
 * The topic meant: the given one, also if the source reads it no more, or the only one of the source.
 * @throws RequestError, NotFoundError
 */
async function topicOf(
  { loaded, ledger }: Pick<RefAct, 'loaded' | 'ledger'>,
  given: string | undefined,
): Promise<string> {
  const topics = topicsOfSource(loaded);
  if (given === undefined) {
    if (topics.length === 1) return topics[0]!;
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot tell which topic is meant: the source has ${topics.join(', ')} (add --topic NAME)`,
    );
  }
  if (topics.includes(given) || Object.hasOwn((await ledger.control.head()).state.schemas, given)) return given;
  throw new NotFoundError(
    'NOT_FOUND',
    `Cannot find topic "${given}": the source has ${topics.join(', ')}${suggest(given, topics)}`,
  );
}
