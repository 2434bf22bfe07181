import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { beforeEach, describe, expect, it } from 'vitest';

import { headgate, headgateJson, startHeadgate, type CommandOutput } from '../support/cli.ts';
import { pythonPath } from '../support/services.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/* Files through the built command, on a disk store; what comes out is read by pyarrow. */

interface Run {
  readonly records: number;
  readonly unread: readonly { readonly path: string; readonly byte: number; readonly bytes: number }[];
  readonly deadLetters: number;
  readonly halted: readonly { readonly code: string; readonly message: string }[];
}

let folder: string;

beforeEach(async () => {
  folder = await temporaryFolder();
});

const run = (...args: readonly string[]): Promise<CommandOutput> => headgate(args, { cwd: folder });
const json = <Result>(...args: readonly string[]): Promise<Result> => headgateJson<Result>(args, { cwd: folder });

/** A pipeline in observe mode, so that everything is published, with batches of about `batchBytes`. */
async function init(files: readonly string[], extra: readonly string[] = [], batchBytes = 20_000): Promise<void> {
  const { code, stderr } = await run('init', '--pipeline', 'p', '--topics', 's', '--files', ...files, ...extra);
  expect(stderr).not.toContain('error');
  expect(code).toBe(0);
  const path = join(folder, 'headgate.yaml');
  const text = await readFile(path, 'utf8');
  await writeFile(path, `mode: observe\nbatch: { bytesMax: ${batchBytes} }\n${text}`);
}

/** Raw values and the column `id` of what was published, in the order of files and offsets. */
async function published(): Promise<{ values: string[]; ids: unknown[] }> {
  await json('pull', 'main', 'out');
  const script = `
import glob, json, pyarrow.parquet as pq
rows = []
for path in glob.glob('out/s/**/*.parquet', recursive=True):
    for row in pq.read_table(path).to_pylist():
        rows.append((path.rsplit('/', 1)[0], row['_offset'], row['_raw_value'].decode('latin1'), row.get('id')))
rows.sort()
print(json.dumps({'values': [row[2] for row in rows], 'ids': [row[3] for row in rows]}))
`;
  const { stdout } = await promisify(execFile)(pythonPath(), ['-c', script], { cwd: folder, maxBuffer: 2 ** 28 });
  return JSON.parse(stdout) as { values: string[]; ids: unknown[] };
}

const lines = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => JSON.stringify({ id: from + i, text: 'x'.repeat((from + i) % 50) }));

describe('files', { timeout: 120_000 }, () => {
  it('are read on from where they were left, without a loss or a double, however often the process is killed', async () => {
    await init(['data.ndjson']);
    const all = lines(0, 6_000);
    await writeFile(join(folder, 'data.ndjson'), `${all.join('\n')}\n`);
    const slots = (): Promise<number> =>
      readdir(join(folder, 'store'), { recursive: true }).then(
        (names) => names.filter((name) => /\/log\/.*\/\d{20}$/.test(name)).length,
        () => 0,
      );
    for (const wanted of [2, 4, 7, 9]) {
      const running = startHeadgate(['ingest', '--once'], { cwd: folder });
      while ((await slots()) < wanted && running.process.exitCode === null)
        await new Promise((resolve) => setTimeout(resolve, 2));
      running.process.kill('SIGKILL');
      await running.done;
    }
    const last = await json<Run>('run', '--once');
    expect(last.halted).toEqual([]);
    expect(last.records).toBeGreaterThan(0);
    expect((await published()).values).toEqual(all);
    expect((await run('verify', '--deep')).code).toBe(0);
  });

  it('that grow are read on in the next run', async () => {
    await init(['data.ndjson']);
    const all = lines(0, 300);
    for (const end of [100, 101, 300]) {
      await writeFile(join(folder, 'data.ndjson'), all.slice(0, end).join('\n'));
      expect((await json<Run>('run', '--once')).halted).toEqual([]);
    }
    expect((await published()).values).toEqual(all);
  });

  it('that are being written are read up to their last whole record, and the summary says so', async () => {
    await init(['data.ndjson']);
    const path = join(folder, 'data.ndjson');
    await writeFile(path, '{"id":1,"text":"a"}\n{"id":2,"te');
    const { code, stdout } = await run('run', '--once');
    expect(code).toBe(0);
    expect(stdout).toContain(
      '"data.ndjson" is not read from byte 20 on: the last 11 bytes have no line break and may not be a whole record',
    );
    await writeFile(path, '{"id":1,"text":"a"}\n{"id":2,"text":"b"}');
    expect(await json<Run>('run', '--once')).toMatchObject({ records: 1, deadLetters: 0, unread: [], halted: [] });
    await writeFile(path, '{"id":1,"text":"a"}\n{"id":2,"text":"b"}\n{"id":3');
    expect(await json<Run>('run', '--once')).toMatchObject({
      records: 0,
      unread: [{ path: 'data.ndjson', byte: 40, bytes: 7 }],
      halted: [],
    });
    expect((await published()).ids).toEqual([1, 2]);
  });

  it('of CSV that are being written are read up to their last whole record', async () => {
    await init(['data.csv'], ['--csv']);
    const path = join(folder, 'data.csv');
    await writeFile(path, 'id,name\n1,a\n2');
    expect(await json<Run>('run', '--once')).toMatchObject({ records: 1, unread: [{ byte: 12, bytes: 1 }] });
    await writeFile(path, 'id,name\n1,a\n2,b');
    // Nothing tells that this is all of it, but that nothing follows for a while.
    expect(await json<Run>('run', '--once')).toMatchObject({ records: 1, deadLetters: 0, unread: [] });
    expect((await published()).ids).toEqual([1, 2]);
  });

  it('of CSV under another delimiter are refused before anything is committed, with the likely one', async () => {
    await init(['data.csv'], ['--csv']);
    await writeFile(join(folder, 'data.csv'), 'id;name\n1;a\n2;b\n');
    const { code, stdout } = await run('run', '--once', '--json');
    expect(code).toBe(5);
    const [halt] = (JSON.parse(stdout.trim().split('\n').at(-1)!) as Run).halted;
    expect(halt).toMatchObject({ code: 'REQUEST_INVALID', message: expect.stringContaining('delimiter to ";"') });
    expect(await json('verify')).toMatchObject({ ok: true, records: 0 });
    const config = join(folder, 'headgate.yaml');
    const text = await readFile(config, 'utf8');
    await writeFile(config, text.replace('format: csv', 'format: csv\n    csv: { delimiter: ";" }'));
    expect(await json<Run>('run', '--once')).toMatchObject({ records: 2, deadLetters: 0, halted: [] });
    await writeFile(config, text);
    await writeFile(join(folder, 'data.csv'), 'id;name\n1;a\n2;b\n3;c\n');
    expect((await run('run', '--once')).code).toBe(5);
  });

  it('with values that their columns cannot hold keep them as dead letters, never as nulls', async () => {
    await init(['*.ndjson']);
    const wide = ['{"id":9223372036854775808,"x":1.5,"t":"2024-01-01"}', '{"id":7,"x":1e400,"t":"2024-01-01"}'];
    const good = Array.from({ length: 300 }, (_, i) => JSON.stringify({ id: i, x: i + 0.5, t: '2024-01-01' }));
    await writeFile(join(folder, 'a.ndjson'), `${good.join('\n')}\n`);
    expect(await json<Run>('run', '--once')).toMatchObject({ records: 300, deadLetters: 0 });
    await writeFile(join(folder, 'b.ndjson'), `${[...wide, '{"id":8,"x":2,"t":"2016-12-31T23:59:60Z"}'].join('\n')}\n`);
    expect(await json<Run>('run', '--once')).toMatchObject({ records: 3, deadLetters: 3 });
    expect((await published()).ids).toEqual(good.map((_, i) => i));
  });

  it('whose ingested part has changed halt, and the others go on', async () => {
    await init(['*.ndjson']);
    for (const name of ['a', 'b']) await writeFile(join(folder, `${name}.ndjson`), '{"id":1}\n{"id":2}\n');
    await json('run', '--once');
    await writeFile(join(folder, 'a.ndjson'), '{"id":9}\n{"id":2}\n{"id":3}\n');
    await writeFile(join(folder, 'b.ndjson'), '{"id":1}\n{"id":2}\n{"id":3}\n');
    const { code, stdout } = await run('ingest', '--once', '--json');
    expect(code).toBe(5);
    expect(JSON.parse(stdout.trim().split('\n').at(-1)!)).toMatchObject({
      records: 1,
      halted: [{ code: 'SOURCE_CHANGED', message: expect.stringContaining('a.ndjson') }],
    });
  });

  it('of CSV may differ in the order and the set of their columns', async () => {
    await init(['data'], ['--csv']);
    await mkdir(join(folder, 'data'));
    await writeFile(join(folder, 'data/1.csv'), 'id,name,label\n1,a,0\n2,"b\nb",1\n');
    await writeFile(join(folder, 'data/2.csv'), '\ufefflabel,note,id\r\n0,"x, y",3\r\n1,,4\r\n');
    const { deadLetters, records } = await json<Run>('run', '--once');
    expect({ deadLetters, records }).toEqual({ deadLetters: 0, records: 4 });
    expect((await published()).ids).toEqual([1, 2, 3, 4]);
  });

  it('of CSV may have another delimiter', async () => {
    await init(['data.csv'], ['--csv']);
    await writeFile(join(folder, 'data.csv'), 'id;name\n1;a,b\n2;"c;d"\n');
    const path = join(folder, 'headgate.yaml');
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('format: csv', 'format: csv\n    csv: { delimiter: ";" }'));
    const { deadLetters, records } = await json<Run>('run', '--once');
    expect({ deadLetters, records }).toEqual({ deadLetters: 0, records: 2 });
    expect((await published()).ids).toEqual([1, 2]);
  });

  it('may come through a pipe', async () => {
    await init(['-']);
    const all = lines(0, 2_000);
    const { code, stderr } = await headgate(['run', '--once'], { cwd: folder, input: all.join('\n') });
    expect(stderr).not.toContain('halted');
    expect(code).toBe(0);
    expect((await published()).values).toEqual(all);
  });

  it('are read by one run at a time: a second says at once who is at it, and leaves it alone', async () => {
    await init(['data.ndjson']);
    await writeFile(join(folder, 'data.ndjson'), `${lines(0, 500).join('\n')}\n`);
    const locks = (): Promise<string[]> => readdir(join(folder, 'store/.tmp')).catch(() => []);
    const first = startHeadgate(['run'], { cwd: folder });
    try {
      await expect.poll(locks, { timeout: 30_000 }).toContainEqual(expect.stringMatching(/\.lock$/));
      for (const command of ['run', 'ingest']) {
        const { code, stdout, stderr } = await run(command, '--once', '--json');
        expect(code).toBe(4);
        expect(`${stdout}${stderr}`).toContain('ALREADY_RUNNING');
        expect(`${stdout}${stderr}`).toContain(`pid ${first.process.pid}, since 20`);
      }
      expect((await run('doctor')).code).toBe(0);
      expect((await headgate(['publish', '--once'], { cwd: folder })).code).toBe(0);
    } finally {
      first.process.kill('SIGTERM');
    }
    expect(await first.done).toMatchObject({ code: 0, stderr: expect.not.stringContaining('FOREIGN_WRITER') });
    expect((await locks()).filter((name) => name.endsWith('.lock'))).toEqual([]);
    const killed = startHeadgate(['run'], { cwd: folder });
    await expect.poll(locks, { timeout: 30_000 }).toContainEqual(expect.stringMatching(/\.lock$/));
    killed.process.kill('SIGKILL');
    await killed.done;
    expect(await json<Run>('run', '--once')).toMatchObject({ halted: [] });
    expect((await published()).values).toEqual(lines(0, 500));
  });

  it('are read whatever their names hold, and named where they cannot be', async () => {
    await init(['data/**']);
    await mkdir(join(folder, 'data'));
    for (const name of ['a\nb.ndjson', ' "é🦆".ndjson']) await writeFile(join(folder, 'data', name), '{"id":1}\n');
    await writeFile(Buffer.concat([Buffer.from(join(folder, 'data/bad-')), Buffer.of(0xff)]), '{"id":1}\n');
    const { code, stdout } = await run('run', '--once', '--json');
    expect(code).toBe(5);
    expect(JSON.parse(stdout.trim().split('\n').at(-1)!)).toMatchObject({
      records: 2,
      halted: [
        { log: 'file/s/data%2Fbad-%5CxFF', code: 'SOURCE_UNAVAILABLE', message: expect.stringContaining('not UTF-8') },
      ],
    });
    expect(await json('verify', '--deep')).toMatchObject({ ok: true, records: 2 });
    expect(await json<{ logs: unknown[] }>('status')).toMatchObject({ logs: { length: 2 } });
  });

  it('that do not exist are refused, all at once (C2)', async () => {
    await init(['gone.ndjson', 'lost/', '*.ndjson']);
    const { code, stderr } = await run('run', '--once');
    expect(code).toBe(78);
    expect(stderr).toContain('/source/files/paths/0: names "gone.ndjson", which does not exist');
    expect(stderr).toContain('/source/files/paths/1: names "lost/", which does not exist');
  });
});
