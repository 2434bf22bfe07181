import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it, vi } from 'vitest';

import { openIngest, sketchSeed } from '../../../src/compose/ingest.ts';
import { openLedgerOf } from '../../../src/compose/ledger.ts';
import { loadConfig, type LoadedConfig } from '../../../src/config/load.ts';
import { FILES, parse } from '../config/configuration.ts';
import type { IngestEvents } from '../../../src/ingest/events.ts';
import { TestPipeline } from '../../support/pipeline.ts';

const seen = vi.hoisted(() => ({ keys: [] as string[], closed: [] as string[], broken: '' }));

vi.mock('../../../src/adapters/keys/pem-signer.ts', async (load) => {
  const real = await load<typeof import('../../../src/adapters/keys/pem-signer.ts')>();
  const openPemSigner: typeof real.openPemSigner = (path, passphrase) => {
    seen.keys.push(path);
    return real.openPemSigner(path, passphrase);
  };
  return { ...real, openPemSigner };
});

vi.mock('../../../src/adapters/thread/encoder.ts', () => ({
  ThreadEncoder: class {
    [Symbol.asyncDispose]() {
      seen.closed.push('encoder');
      return Promise.resolve();
    }
  },
}));

vi.mock('../../../src/compose/source.ts', () => ({
  openSourceAlone: () =>
    Promise.resolve({
      [Symbol.asyncDispose]() {
        seen.closed.push('source');
        return seen.broken === 'source' ? Promise.reject(new Error('no goodbye')) : Promise.resolve();
      },
    }),
}));

vi.mock('../../../src/ingest/ingestor.ts', () => ({
  Ingestor: function Ingestor() {
    if (seen.broken === 'ingestor') throw new Error('no ingestor');
  },
}));

describe('the seed of row hashes', () => {
  const seedOf = (pipeline: string, deployment: string): number =>
    sketchSeed(parse('', { base: FILES.replace(': p\n', `: ${pipeline}\n`).replace(': d\n', `: ${deployment}\n`) }));

  it('is the same for every consumer of a deployment, whatever else it is told', () => {
    expect(sketchSeed(parse('batch: { recordsMax: 5 }'))).toBe(sketchSeed(parse('mode: observe')));
  });

  it('cannot be told from the name of the pipeline, which producers know', () => {
    expect(seedOf('shop', 'a1b2c3')).not.toBe(seedOf('shop', 'a1b2c4'));
    expect(seedOf('shop', 'a1b2c3')).not.toBe(seedOf('shop-2', 'a1b2c3'));
  });

  // Known answer: HKDF-SHA-256 (RFC 5869) by Python's hmac, no salt, info "headgate sketch shop", 4 bytes big-endian.
  it('is the known one: what was learned under it stays comparable', () => {
    expect(seedOf('shop', "'0123456789abcdef'")).toBe(1_943_981_342);
  });
});

describe('the consume loop', () => {
  let loaded: LoadedConfig;
  const open = async (): Promise<AsyncDisposable> => {
    await using ledger = await openLedgerOf(loaded, () => undefined);
    return openIngest(loaded, ledger, true, {} as IngestEvents, () => undefined);
  };

  beforeEach(async () => {
    const { folder } = await TestPipeline.open(['--files', 'data.ndjson', '--pipeline', 'shop']);
    loaded = await loadConfig(join(folder, 'headgate.yaml'), {});
    seen.keys = [];
    seen.closed = [];
    seen.broken = '';
  });

  it('reads its key once', async () => {
    await using _ = await open();
    expect(seen.keys).toEqual([join(loaded.folder, 'keys', 'ingest.pem')]);
  });

  it('opens no source without its key', async () => {
    await writeFile(join(loaded.folder, 'keys', 'ingest.pem'), 'no key');
    await expect(open()).rejects.toMatchObject({ code: 'KEY_INVALID' });
    expect(seen.closed).toEqual([]);
  });

  it('closes what is open when the rest cannot be opened', async () => {
    seen.broken = 'ingestor';
    await expect(open()).rejects.toThrow('no ingestor');
    expect(seen.closed).toEqual(['source', 'encoder']);
  });

  it('closes the encoder even when the source cannot be closed', async () => {
    const ingest = await open();
    seen.broken = 'source';
    await expect(ingest[Symbol.asyncDispose]()).rejects.toThrow('no goodbye');
    expect(seen.closed).toEqual(['source', 'encoder']);
  });
});
