import { execFileSync } from 'node:child_process';
import { lstat, mkdir, readFile, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { DiskTarget } from '../../../src/adapters/disk/pull-target.ts';
import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { UnavailableError } from '../../../src/errors.ts';
import type { LoggedBatch } from '../../../src/ledger/partition-log.ts';
import { sha256Hex } from '../../../src/record/sha256.ts';
import { pull, type PullReport } from '../../../src/respond/pull.ts';
import { filesOf, listFiles } from '../../../src/respond/pull/snapshot-files.ts';
import { StoreDecorator } from '../../support/faulty-store.ts';
import { bytesOf, overwrite } from '../../support/forge.ts';
import { TestLedger, never, partition } from '../../support/ledger.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const a = partition(0);
const b = partition(1);

/** Fails after some downloads, as a network does. */
class BreakingStore extends StoreDecorator {
  downloadsLeft = Infinity;
  downloads: string[] = [];

  override async get(key: string, bytesMax: number): Promise<Buffer | null> {
    if (!key.startsWith('shop/data/')) return super.get(key, bytesMax);
    if (this.downloadsLeft-- <= 0)
      throw new UnavailableError('STORE_UNAVAILABLE', `Cannot read "${key}" in the store: planned fault`);
    this.downloads.push(key);
    return super.get(key, bytesMax);
  }
}

/** Puts a folder where a file must go once the last download is under way: what was looked at before has changed since. */
class PlannedObstacle extends StoreDecorator {
  readonly #path: string;

  constructor(inner: StoreDecorator, path: string) {
    super(inner);
    this.#path = path;
  }

  override async get(key: string, bytesMax: number): Promise<Buffer | null> {
    if (key.startsWith('shop/data/')) await mkdir(join(this.#path, 'x'), { recursive: true });
    return super.get(key, bytesMax);
  }
}

/** Shows foreign data only at the second look, as when someone puts it there meanwhile. */
class LateDataTarget extends DiskTarget {
  #looks = 0;

  override async *foreignData(ours: ReadonlySet<string>, ownFolder: string): AsyncGenerator<string> {
    yield* super.foreignData(ours, ownFolder);
    if (++this.#looks > 1) yield 'late.parquet';
  }
}

/** Cannot read one of its files, or cannot end its last look, as a disk that fails. */
class FailingTarget extends DiskTarget {
  readonly #failing: string;

  constructor(folder: string, failing: string) {
    super(folder);
    this.#failing = failing;
  }

  override async compare(...[path, content]: Parameters<DiskTarget['compare']>): ReturnType<DiskTarget['compare']> {
    const found = await super.compare(path, content);
    if (path === this.#failing) this.#fail();
    return found;
  }

  override async *foreignData(...args: Parameters<DiskTarget['foreignData']>): AsyncGenerator<string> {
    yield* super.foreignData(...args);
    if (this.#failing === 'last look') this.#fail();
  }

  #fail(): never {
    throw new UnavailableError('TARGET_UNUSABLE', `Cannot pull into "${this.location}": planned fault`);
  }
}

describe('pull', () => {
  let store: BreakingStore;
  let test: TestLedger;
  let folder: string;
  let batches: LoggedBatch[];
  const publish = async (): Promise<string> => {
    await test.publisher().publish(never);
    return (await test.ledger.control.head()).state.refs['main']!;
  };
  const into = (snapshot: string, signal = never, to = folder): Promise<PullReport> =>
    pull(test.ledger, snapshot, new DiskTarget(to), signal, () => undefined);
  const pathOf = ({ log, entry }: LoggedBatch): string =>
    join(folder, log.topic, log.partition, `${entry.start}-${entry.data!.sha256.slice(0, 8)}.parquet`);
  const files = async (): Promise<string[]> =>
    (await readdir(folder, { recursive: true, withFileTypes: true }))
      .filter((file) => file.isFile() && !file.parentPath.includes('.headgate'))
      .map((file) => join(file.parentPath, file.name))
      .toSorted();

  /** The snapshot that the folder claims to hold; null when it claims none. */
  const claim = async (): Promise<string | null> => {
    const text = await readFile(join(folder, '.headgate', 'complete.json'), 'utf8').catch(() => null);
    return text === null ? null : (JSON.parse(text) as { snapshot: string }).snapshot;
  };

  beforeEach(async () => {
    store = new BreakingStore(new MemoryStore());
    test = await TestLedger.open({ store });
    folder = join(await temporaryFolder(), 'data');
    batches = [await test.commit(a), await test.commit(a), await test.commit(b)];
    store.downloads = [];
  });

  it('brings every file of a snapshot under a name that stays the same, with the signed content', async () => {
    await test.commit(b, { verdict: 'suspect' });
    await test.commit(b, { values: ['only dead letters'] });
    const snapshot = await publish();
    const report = await into(snapshot);
    expect(report).toMatchObject({
      snapshot,
      files: 3,
      records: 6,
      downloaded: 3,
      kept: 0,
      removed: 0,
      complete: true,
    });
    expect(await files()).toEqual(batches.map(pathOf).toSorted());
    for (const batch of batches) expect(sha256Hex(await readFile(pathOf(batch)))).toBe(batch.entry.data!.sha256);
    expect(report.bytes).toBe(batches.reduce((sum, { entry }) => sum + entry.data!.bytes, 0));
  });

  it('brings only what is new, and takes away what is gone', async () => {
    await into(await publish());
    await test.decide(batches[0]!, 'condemned');
    const added = await test.commit(b);
    const second = await publish();
    store.downloads = [];
    expect(await into(second)).toMatchObject({ files: 3, downloaded: 1, kept: 2, removed: 1 });
    expect(store.downloads).toHaveLength(1);
    expect(await files()).toEqual([batches[1]!, batches[2]!, added].map(pathOf).toSorted());
    expect(await into(second)).toMatchObject({ downloaded: 0, kept: 3, removed: 0 });
  });

  it('brings a file anew that was changed or deleted', async () => {
    const snapshot = await publish();
    await into(snapshot);
    const [changed, deleted] = [pathOf(batches[0]!), pathOf(batches[1]!)];
    const bytes = await readFile(changed);
    bytes[10]! ^= 1;
    await writeFile(changed, bytes);
    await rm(deleted);
    expect(await into(snapshot)).toMatchObject({ downloaded: 2, kept: 1 });
    expect(sha256Hex(await readFile(changed))).toBe(batches[0]!.entry.data!.sha256);
  });

  it('goes on where it was interrupted, by an outage or by the user, and shows nothing until then', async () => {
    for (let i = 0; i < 12; i++) batches.push(await test.commit(a));
    const snapshot = await publish();
    store.downloadsLeft = 5;
    await expect(into(snapshot)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(await files()).toEqual([]);
    const first = store.downloads.length;
    expect(first).toBeGreaterThan(0);
    store.downloadsLeft = Infinity;
    const stop = new AbortController();
    const onProgress = (done: number): void => void (done >= first + 2 && stop.abort());
    const interrupted = await pull(test.ledger, snapshot, new DiskTarget(folder), stop.signal, onProgress);
    expect(interrupted).toMatchObject({ complete: false, files: 15, removed: 0 });
    expect(await files()).toEqual([]);
    expect(await claim()).toBeNull();
    const kept = first + interrupted.downloaded;
    expect(await into(snapshot)).toMatchObject({ complete: true, downloaded: 15 - kept, kept });
    expect(await files()).toEqual(batches.map(pathOf).toSorted());
    expect(await readdir(join(folder, '.headgate'))).toEqual(['complete.json', 'manifest.json']);
  });

  it('removes nothing while it is interrupted', async () => {
    await into(await publish());
    await test.decide(batches[0]!, 'condemned');
    await test.commit(b);
    const second = await publish();
    expect(await into(second, AbortSignal.abort())).toMatchObject({ complete: false, downloaded: 0, removed: 0 });
    expect(await files()).toHaveLength(3);
    expect(await into(second)).toMatchObject({ complete: true, removed: 1 });
  });

  it('never shows a tampered file, whole or in part, nor those beside it', async () => {
    const snapshot = await publish();
    const victim = batches[1]!;
    const { key } = victim.entry.data!;
    const own = await bytesOf(store, key);
    const attacks = [
      Buffer.concat([own.subarray(0, 10), Buffer.from([own[10]! ^ 1]), own.subarray(11)]),
      own.subarray(0, -1),
      Buffer.concat([own, Buffer.from('x')]),
      Buffer.alloc(0),
    ];
    for (const bytes of attacks) {
      await overwrite(store, key, bytes);
      await expect(into(snapshot)).rejects.toMatchObject({ object: key });
      expect(await files()).toEqual([]);
    }
    await store.delete(key);
    await expect(into(snapshot)).rejects.toMatchObject({ code: 'OBJECT_MISSING', object: key });
    await overwrite(store, key, own);
    expect(await into(snapshot)).toMatchObject({ complete: true });
  });

  it('does not touch a file in the way that no pull has written, not even when it is asked again', async () => {
    const snapshot = await publish();
    const target = pathOf(batches[1]!);
    await mkdir(join(folder, 'orders', '0'), { recursive: true });
    await writeFile(target, 'a thesis');
    for (let i = 0; i < 3; i++) await expect(into(snapshot)).rejects.toMatchObject({ code: 'PULL_CONFLICT' });
    expect(await readFile(target, 'utf8')).toBe('a thesis');
    expect(store.downloads).toEqual([]);
    await rm(target);
    expect(await into(snapshot)).toMatchObject({ downloaded: 3 });
  });

  it('leaves files alone that are none of a snapshot', async () => {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'notes.txt'), 'mine');
    const snapshot = await publish();
    await into(snapshot);
    await test.decide(batches[0]!, 'condemned');
    await into(await publish());
    expect(await readFile(join(folder, 'notes.txt'), 'utf8')).toBe('mine');
  });

  it('keeps a file that is there already with the right content, whoever brought it', async () => {
    const snapshot = await publish();
    await mkdir(join(folder, 'orders', '0'), { recursive: true });
    await writeFile(pathOf(batches[0]!), await bytesOf(store, batches[0]!.entry.data!.key));
    expect(await into(snapshot)).toMatchObject({ downloaded: 2, kept: 1 });
  });

  it.each([
    ['deep', (text: string) => `{"files":${text}`, '['],
    ['deep in objects', (text: string) => `{"files":${text}`, '{"a":'],
    ['of very many values', (text: string) => `{"files":[${text}1]}`, '[],'],
    ['of very many values of the wrong kind', (text: string) => `{"files":[${text}1]}`, '7,'],
  ])('refuses a manifest that is %s, and a record like it, in little time and memory', async (_, make, unit) => {
    const snapshot = await publish();
    await into(snapshot);
    const own = (name: string): string => join(folder, '.headgate', name);
    const good = await readFile(own('manifest.json'));
    const text = make(unit.repeat(30_000_000 / unit.length));
    const before = process.memoryUsage().rss;
    for (const name of ['manifest.json', 'complete.json']) {
      await writeFile(own(name), text);
      if (name === 'manifest.json') {
        await expect(into(snapshot)).rejects.toMatchObject({
          code: 'PULL_CONFLICT',
          message: expect.stringContaining('it does not tell which files a pull has written') as string,
        });
        expect(await claim()).toBeNull();
        await writeFile(own(name), good);
      } else expect(await into(snapshot)).toMatchObject({ complete: true, downloaded: 0 });
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(400_000_000);
    expect(await claim()).toBe(snapshot);
  });

  it.each([
    ['no JSON', '{'],
    ['another shape', '{"files":[{"path":1}]}'],
    [
      'a path that leads out of the folder',
      JSON.stringify({
        snapshot: null,
        files: [{ path: '../../0-aaaaaaaa.parquet', sha256: '', bytes: 0, rows: 0, key: '' }],
      }),
    ],
    [
      'an absolute path',
      JSON.stringify({ snapshot: null, files: [{ path: '/etc/passwd', sha256: '', bytes: 0, rows: 0, key: '' }] }),
    ],
  ])('refuses a folder whose manifest is %s: it may come from elsewhere', async (_, text) => {
    const snapshot = await publish();
    await mkdir(join(folder, '.headgate'), { recursive: true });
    await writeFile(join(folder, '.headgate', 'manifest.json'), text);
    await expect(into(snapshot)).rejects.toMatchObject({ code: 'PULL_CONFLICT' });
    expect(await readFile(join(folder, '.headgate', 'manifest.json'), 'utf8')).toBe(text);
  });

  it.each([
    ['a folder', (path: string) => mkdir(path)],
    ['a pipe', async (path: string) => void execFileSync('mkfifo', [path])],
    ['a link', (path: string) => symlink('complete.json', path)],
    ['no JSON', (path: string) => writeFile(path, '{')],
  ])('claims nothing any more when %s is in the place of its manifest', async (_, put) => {
    const snapshot = await publish();
    await into(snapshot);
    const manifest = join(folder, '.headgate', 'manifest.json');
    await rm(manifest);
    await put(manifest);
    await expect(into(snapshot)).rejects.toMatchObject({
      code: 'PULL_CONFLICT',
      message: expect.stringMatching(/manifest\.json": .+ \(mend: pull into an empty folder\)$/) as string,
    });
    expect(await claim()).toBeNull();
  });

  it('gives hostile topic names no way out of the folder', async () => {
    await test.pinSchema('../..');
    await test.pinSchema('.headgate');
    for (const topic of ['../..', '.headgate'])
      batches.push(await test.commit(partition('..', topic), { verdict: 'no-baseline', mode: 'observe' }));
    await into(await publish());
    const found = await files();
    expect(found).toHaveLength(5);
    expect(found.every((path) => path.startsWith(folder))).toBe(true);
    expect((await stat(join(folder, '.headgate', 'manifest.json'))).isFile()).toBe(true);
  });

  it('gives every topic a folder that a disk can have, however long its name is', async () => {
    const long = ['\u6ce8'.repeat(29), '\u6ce8'.repeat(30), 'x'.repeat(249)];
    for (const topic of long) {
      await test.pinSchema(topic);
      batches.push(await test.commit(partition(0, topic), { verdict: 'no-baseline', mode: 'observe' }));
    }
    const snapshot = await publish();
    expect(await into(snapshot)).toMatchObject({ files: 6, downloaded: 6 });
    expect(await into(snapshot)).toMatchObject({ downloaded: 0, kept: 6 });
    const folders = await readdir(folder);
    expect(folders).toHaveLength(5);
    for (const name of folders) expect(name.length).toBeLessThanOrEqual(153);
  });

  describe('in a folder that was prepared', () => {
    let outside: string;
    const own = (path: string): string => join(folder, '.headgate', path);
    const conflictAt = (path: string) => ({
      code: 'PULL_CONFLICT',
      message: expect.stringContaining(`"${path}"`) as string,
    });

    beforeEach(async () => {
      outside = join(folder, '..', 'outside');
      await mkdir(outside);
      await writeFile(join(outside, 'precious'), 'a thesis');
      await mkdir(own(''), { recursive: true });
    });

    it('writes through no link that lies where it writes first', async () => {
      const snapshot = await publish();
      const names = (await filesOf(test.ledger, snapshot)).flatMap(({ path, sha256 }) => [
        join('staging', `${sha256}.part`),
        join('staging', `${sha256Hex(Buffer.from(path))}.part`),
      ]);
      await mkdir(own('staging'));
      for (const name of [...names, 'manifest.json.part', 'complete.json.part', 'complete.json'])
        await symlink(join(outside, 'precious'), own(name));
      expect(await into(snapshot)).toMatchObject({ complete: true, downloaded: 3 });
      expect(await readFile(join(outside, 'precious'), 'utf8')).toBe('a thesis');
      for (const batch of batches) expect((await lstat(pathOf(batch))).isFile()).toBe(true);
      for (const name of ['manifest.json', 'complete.json']) expect((await lstat(own(name))).isFile()).toBe(true);
    });

    it('goes on over what an interrupted pull has left', async () => {
      const snapshot = await publish();
      await mkdir(own('staging'));
      for (const { path } of await filesOf(test.ledger, snapshot))
        await writeFile(
          own(join('staging', `${sha256Hex(Buffer.from(path))}.part`)),
          'half a file that was longer than the whole',
        );
      await writeFile(own(join('staging', 'of-another-snapshot.part')), 'x');
      expect(await into(snapshot)).toMatchObject({ complete: true, downloaded: 3 });
      expect(await readdir(own(''))).toEqual(['complete.json', 'manifest.json']);
    });

    it.each([['orders'], [join('orders', '0')], ['.headgate'], [join('.headgate', 'staging')]])(
      'refuses a link where its folder %s must be, and writes nothing',
      async (path) => {
        const snapshot = await publish();
        await rm(own(''), { recursive: true });
        await mkdir(join(folder, path, '..'), { recursive: true });
        await symlink(outside, join(folder, path));
        await expect(into(snapshot)).rejects.toMatchObject(conflictAt(join(folder, path)));
        expect(await readdir(outside)).toEqual(['precious']);
        expect(store.downloads).toEqual([]);
      },
    );

    it('removes nothing behind a link, though a manifest says that it is a file of an earlier pull', async () => {
      const name = '0-aaaaaaaa.parquet';
      await mkdir(join(outside, '0'));
      await writeFile(join(outside, '0', name), 'not ours');
      await symlink(outside, join(folder, 'old'));
      const file = { path: join('old', '0', name), sha256: '', bytes: 0, rows: 0, key: '' };
      await writeFile(own('manifest.json'), JSON.stringify({ snapshot: null, files: [file] }));
      await expect(into(await publish())).rejects.toMatchObject(conflictAt(join(folder, 'old')));
      expect(await readFile(join(outside, '0', name), 'utf8')).toBe('not ours');
    });

    it('removes no folder, though a manifest says that it is a file of an earlier pull', async () => {
      const path = join('old', '0', '0-aaaaaaaa.parquet');
      await mkdir(join(folder, path), { recursive: true });
      await writeFile(join(folder, path, 'precious'), 'a thesis');
      await writeFile(own('manifest.json'), JSON.stringify({ files: [{ path }] }));
      await expect(into(await publish())).rejects.toMatchObject(conflictAt(join(folder, path)));
      expect(await claim()).toBeNull();
      expect(await readFile(join(folder, path, 'precious'), 'utf8')).toBe('a thesis');
    });

    it('replaces a link that stands for a file of an earlier pull, and never keeps it', async () => {
      const snapshot = await publish();
      await into(snapshot);
      const [path] = [pathOf(batches[0]!)];
      await rename(path, join(outside, 'moved'));
      await symlink(join(outside, 'moved'), path);
      expect(await into(snapshot)).toMatchObject({ downloaded: 1, kept: 2 });
      expect((await lstat(path)).isFile()).toBe(true);
    });

    it('names a file or a folder that is in the way of its own', async () => {
      const snapshot = await publish();
      await writeFile(join(folder, 'orders'), 'a file');
      await expect(into(snapshot)).rejects.toMatchObject(conflictAt(join(folder, 'orders')));
      await rm(join(folder, 'orders'));
      await mkdir(own('manifest.json.part'));
      await expect(into(snapshot)).rejects.toMatchObject(conflictAt(own('manifest.json.part')));
      await rm(own('manifest.json.part'), { recursive: true });
      await mkdir(pathOf(batches[0]!), { recursive: true });
      await expect(into(snapshot)).rejects.toMatchObject(conflictAt(pathOf(batches[0]!)));
    });

    it('takes a link for the folder itself: its owner has named it', async () => {
      await symlink(outside, join(folder, '..', 'link'));
      expect(await into(await publish(), never, join(folder, '..', 'link'))).toMatchObject({ downloaded: 3 });
      expect(await readdir(join(outside, '.headgate'))).toContain('complete.json');
      expect(await readFile(join(outside, 'precious'), 'utf8')).toBe('a thesis');
    });
  });

  describe('as a reader sees it who looks only at the folder', () => {
    /** Two snapshots: the second lacks the first batch of the first and has one more. */
    const two = async (): Promise<{ first: string; second: string; before: string[]; after: string[] }> => {
      const first = await publish();
      await test.decide(batches[0]!, 'condemned');
      const added = await test.commit(b);
      const second = await publish();
      const [before, after] = [batches, [batches[1]!, batches[2]!, added]].map((of) => of.map(pathOf).toSorted());
      return { first, second, before: before!, after: after! };
    };

    it('is complete when the record says so: it names the snapshot and every file of it', async () => {
      const snapshot = await publish();
      await into(snapshot);
      const record = JSON.parse(await readFile(join(folder, '.headgate', 'complete.json'), 'utf8')) as object;
      expect(record).toEqual({
        version: 1,
        snapshot,
        records: 6,
        bytes: batches.reduce((sum, { entry }) => sum + entry.data!.bytes, 0),
        files: batches.map(({ log, entry: { start, data } }) => ({
          path: `${log.topic}/${log.partition}/${start}-${data!.sha256.slice(0, 8)}.parquet`,
          sha256: data!.sha256,
          bytes: data!.bytes,
          rows: 2,
        })),
      });
    });

    it('is the old snapshot, whole and claimed, while the new one cannot be verified', async () => {
      const { first, second, before, after } = await two();
      await into(first);
      const { key } = (await filesOf(test.ledger, second)).at(-1)!;
      const own = await bytesOf(store, key);
      await overwrite(store, key, own.subarray(1));
      await expect(into(second)).rejects.toMatchObject({ object: key });
      expect([await files(), await claim()]).toEqual([before, first]);
      await overwrite(store, key, own);
      expect(await into(second)).toMatchObject({ complete: true, removed: 1 });
      expect([await files(), await claim()]).toEqual([after, second]);
    });

    it('claims nothing between two moves, and the next pull goes on from there', async () => {
      const { first, second, after } = await two();
      await into(first);
      // A folder where the second file must go stands for a process that dies before it.
      const [obstacle] = after.filter((path) => !batches.map(pathOf).includes(path));
      const plan = new PlannedObstacle(store, obstacle!);
      const ledger = test.reopened(plan);
      await expect(pull(ledger, second, new DiskTarget(folder), never, () => undefined)).rejects.toMatchObject({
        code: 'PULL_CONFLICT',
      });
      expect(await claim()).toBeNull();
      await rm(obstacle!, { recursive: true });
      expect(await into(second)).toMatchObject({ complete: true });
      expect([await files(), await claim()]).toEqual([after, second]);
    });

    it('claims nothing from the moment on that a file of it is found gone or changed', async () => {
      const snapshot = await publish();
      for (const damage of [(path: string) => rm(path), (path: string) => writeFile(path, 'other')]) {
        await into(snapshot);
        expect(await claim()).toBe(snapshot);
        await damage(pathOf(batches[0]!));
        expect(await into(snapshot, AbortSignal.abort())).toMatchObject({ complete: false });
        expect(await claim()).toBeNull();
      }
      expect(await into(snapshot)).toMatchObject({ complete: true, downloaded: 1 });
      expect(await claim()).toBe(snapshot);
    });

    it('claims nothing once its files lie behind a link, or a folder is in the place of one', async () => {
      const snapshot = await publish();
      const topic = join(folder, 'orders');
      const damages = [
        async () => {
          await rename(topic, `${folder}-elsewhere`);
          await symlink(`${folder}-elsewhere`, topic);
          return async () => {
            await rm(topic);
            await rename(`${folder}-elsewhere`, topic);
          };
        },
        async () => {
          await rm(pathOf(batches[0]!));
          await mkdir(pathOf(batches[0]!));
          return () => rm(pathOf(batches[0]!), { recursive: true });
        },
      ];
      for (const damage of damages) {
        await into(snapshot);
        expect(await claim()).toBe(snapshot);
        const mend = await damage();
        await expect(into(snapshot)).rejects.toMatchObject({ code: 'PULL_CONFLICT' });
        expect(await claim()).toBeNull();
        await mend();
      }
    });

    /** Pulls into the folder on a disk that fails. @param at the path of a file, or `last look` */
    const expectFailure = (snapshot: string, at: string): Promise<void> =>
      expect(pull(test.ledger, snapshot, new FailingTarget(folder, at), never, () => undefined)).rejects.toMatchObject({
        code: 'TARGET_UNUSABLE',
      });

    it('claims nothing once a file of it is found gone, though another cannot be read', async () => {
      const snapshot = await publish();
      await into(snapshot);
      const listed = await filesOf(test.ledger, snapshot);
      await rm(join(folder, listed[0]!.path));
      await expectFailure(snapshot, listed.at(-1)!.path);
      expect(await claim()).toBeNull();
    });

    it('claims nothing once the look for foreign data fails, whatever it has found by then', async () => {
      const snapshot = await publish();
      await into(snapshot);
      await expectFailure(snapshot, 'last look');
      expect(await claim()).toBeNull();
    });

    it('keeps its record when nothing is known but that a file cannot be read', async () => {
      const snapshot = await publish();
      await into(snapshot);
      await expectFailure(snapshot, (await filesOf(test.ledger, snapshot))[0]!.path);
      expect(await claim()).toBe(snapshot);
    });

    it.each([
      ['no JSON', '{'],
      ['another shape', '{"snapshot":7}'],
    ])('claims anew after a record that is %s', async (_, text) => {
      const snapshot = await publish();
      await into(snapshot);
      await writeFile(join(folder, '.headgate', 'complete.json'), text);
      expect(await into(snapshot)).toMatchObject({ downloaded: 0 });
      expect(await claim()).toBe(snapshot);
    });

    it('keeps its record while nothing changes', async () => {
      const snapshot = await publish();
      await into(snapshot);
      const { mtimeMs } = await stat(pathOf(batches[0]!));
      await into(snapshot);
      expect((await stat(pathOf(batches[0]!))).mtimeMs).toBe(mtimeMs);
      expect(await claim()).toBe(snapshot);
    });
  });

  describe('beside another pull', () => {
    const conflict = (dir: string, why: string) => ({
      code: 'PULL_CONFLICT',
      message: expect.stringContaining(`Cannot pull into "${join(folder, dir)}": ${why}`),
    });

    it('refuses a folder that lies in that of the other, however deep and by whatever links', async () => {
      const snapshot = await publish();
      await into(snapshot);
      await symlink(join(folder, 'orders'), `${folder}-link`);
      const before = await readdir(folder, { recursive: true });
      for (const dir of ['v2', join('orders', '0', 'v2'), '../data-link', '../data-link/v2'])
        await expect(into(snapshot, never, join(folder, dir))).rejects.toMatchObject(
          conflict(dir, `it lies in "${folder}", which another pull fills, and who reads all of that would read both`),
        );
      expect(await readdir(folder, { recursive: true })).toEqual(before);
      expect(await claim()).toBe(snapshot);
    });

    it('refuses a folder in which the other has begun, and does not say that no pull did', async () => {
      const snapshot = await publish();
      store.downloadsLeft = 1;
      await expect(into(snapshot, never, join(folder, 'v2'))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      store.downloadsLeft = Infinity;
      await expect(into(snapshot)).rejects.toMatchObject(
        conflict('', 'it holds data that no pull into this folder has put there, "v2/.headgate/staging/'),
      );
      await into(snapshot, never, join(folder, 'v2'));
      await expect(into(snapshot)).rejects.toMatchObject(
        conflict('', 'it holds data that no pull into this folder has put there, "v2/orders/0/'),
      );
    });

    it('goes into a folder next to it', async () => {
      const snapshot = await publish();
      await into(snapshot);
      expect(await into(snapshot, never, `${folder}-2`)).toMatchObject({ complete: true });
    });
  });

  describe('with data in the folder that no pull has put there', () => {
    const foreign = async (path: string, content: string | Buffer = 'PAR1 whatever PAR1'): Promise<string> => {
      await mkdir(join(folder, path, '..'), { recursive: true });
      await writeFile(join(folder, path), content);
      return path;
    };

    it.each([
      ['a Parquet file beside the topics', 'extra.parquet', 'x'],
      ['one in a partition', 'orders/0/7-aaaaaaaa.parquet', 'x'],
      ['one under another spelling', 'more/DATA.PARQUET', 'x'],
      ['one that only its first bytes betray', 'part-0000', 'PAR1 whatever'],
      ['an encrypted one', 'secret.bin', 'PARE whatever'],
      ['one whose name some readers pass over', '_old/a.parquet', 'x'],
      ['one with a dot before its name, which DuckDB reads', 'orders/.c.parquet', 'x'],
      ['one in a folder with a dot before its name', '.cache/b.parquet', 'x'],
      ['one in a folder named as ours, but not at the top', 'orders/.headgate/b.parquet', 'x'],
      ['one with a dot before its name that only its first bytes betray', '.dvc/cache/ab', 'PAR1'],
    ])('refuses %s, names it, and leaves it alone', async (_, path, content) => {
      const snapshot = await publish();
      await foreign(path, content);
      for (let i = 0; i < 2; i++)
        await expect(into(snapshot)).rejects.toMatchObject({
          code: 'PULL_CONFLICT',
          message: expect.stringContaining(`"${join(path)}"`) as string,
        });
      expect(await readFile(join(folder, path), 'utf8')).toBe(content);
      expect(store.downloads).toEqual([]);
      await rm(join(folder, path));
      expect(await into(snapshot)).toMatchObject({ complete: true });
    });

    it('refuses a link to data or to a folder: readers follow it', async () => {
      const snapshot = await publish();
      const outside = join(folder, '..', 'outside');
      await mkdir(outside);
      await writeFile(join(outside, 'old'), 'PAR1');
      await mkdir(folder);
      for (const target of [outside, join(outside, 'old')]) {
        await symlink(target, join(folder, 'link'));
        await expect(into(snapshot)).rejects.toMatchObject({ code: 'PULL_CONFLICT' });
        await rm(join(folder, 'link'));
      }
    });

    it('refuses a pipe that is named as data, and does not wait for it', async () => {
      const snapshot = await publish();
      await into(snapshot);
      execFileSync('mkfifo', [join(folder, 'orders', 'a.parquet'), join(folder, 'pipe')]);
      await expect(into(snapshot)).rejects.toMatchObject({
        code: 'PULL_CONFLICT',
        message: expect.stringContaining('put there, "orders/a.parquet" (mend') as string,
      });
      expect(await claim()).toBeNull();
      await rm(join(folder, 'orders', 'a.parquet'));
      expect(await into(snapshot)).toMatchObject({ complete: true });
    });

    it('withdraws what the folder claims when it turns up after the first look', async () => {
      const snapshot = await publish();
      await into(snapshot);
      await expect(
        pull(test.ledger, snapshot, new LateDataTarget(folder), never, () => undefined),
      ).rejects.toMatchObject({ code: 'PULL_CONFLICT' });
      expect(await claim()).toBeNull();
    });

    it('withdraws what the folder claims, until it is gone', async () => {
      const snapshot = await publish();
      await into(snapshot);
      const path = await foreign('extra.parquet');
      await expect(into(snapshot)).rejects.toMatchObject({ code: 'PULL_CONFLICT' });
      expect(await claim()).toBeNull();
      await rm(join(folder, path));
      expect(await into(snapshot)).toMatchObject({ downloaded: 0, complete: true });
      expect(await claim()).toBe(snapshot);
    });

    it('names three of many and counts the rest', async () => {
      const snapshot = await publish();
      for (let i = 0; i < 5; i++) await foreign(`extra-${i}.parquet`);
      await expect(into(snapshot)).rejects.toThrow(/("extra-\d.parquet"(, )?){3} and 2 more/);
    });

    it('passes over what readers pass over: other kinds of files', async () => {
      const snapshot = await publish();
      for (const path of ['notes.txt', 'orders/readme.md', '.gitignore', '.dvc/config']) await foreign(path, 'mine');
      await foreign('empty', '');
      await symlink(join(folder, 'nowhere'), join(folder, 'dangling.parquet'));
      expect(await into(snapshot)).toMatchObject({ complete: true });
      expect(await readFile(join(folder, 'notes.txt'), 'utf8')).toBe('mine');
    });
  });

  it('refuses a target that is a link to nowhere before anything is downloaded', async () => {
    const snapshot = await publish();
    await symlink('nowhere', folder);
    await expect(into(snapshot)).rejects.toMatchObject({
      code: 'TARGET_UNUSABLE',
      message: expect.stringContaining('and that leads nowhere (mend: ') as string,
    });
  });

  it('says what is wrong with a target that is a file, or lies below one', async () => {
    const snapshot = await publish();
    await writeFile(folder, 'a file');
    for (const target of [folder, join(folder, 'below')])
      await expect(into(snapshot, never, target)).rejects.toMatchObject({
        code: 'TARGET_UNUSABLE',
        message: expect.stringContaining('is no folder') as string,
      });
    expect(await readFile(folder, 'utf8')).toBe('a file');
  });

  it('lists addresses, sizes and digests for reading in place', async () => {
    const snapshot = await publish();
    const listed = await listFiles(test.ledger, snapshot);
    expect(listed.map(({ key }) => key)).toEqual((await filesOf(test.ledger, snapshot)).map(({ key }) => key));
    for (const { key, uri, sha256, bytes } of listed) {
      expect(uri).toBe(`memory:${key}`);
      expect(sha256Hex(await bytesOf(store, key))).toBe(sha256);
      expect((await bytesOf(store, key)).length).toBe(bytes);
    }
  });
});
