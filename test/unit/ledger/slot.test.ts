import { beforeEach, describe, expect, it } from 'vitest';

import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { BYTES_MAX, Layout } from '../../../src/ledger/layout.ts';
import { assertFits, getVerified, parseJson, putContent } from '../../../src/ledger/objects.ts';
import { createSlot, createSlotOrSettle } from '../../../src/ledger/slot.ts';
import { sha256Hex } from '../../../src/record/sha256.ts';
import { CREATE_FAULTS, FaultyStore } from '../../support/faulty-store.ts';
import { LeapingClock } from '../../support/leaping-clock.ts';

const ours = Buffer.from('ours');
const theirs = Buffer.from('theirs');
const never = new AbortController().signal;
let store: FaultyStore;
const clock = new LeapingClock();

beforeEach(() => {
  store = new FaultyStore(new MemoryStore());
});

describe('createSlot', () => {
  const create = (signal = never) => createSlot(store, 'log/1', ours, clock, signal);

  it('creates a free slot with one attempt', async () => {
    expect(await create()).toEqual({ owner: 'us' });
    expect(store.attempts).toBe(1);
  });

  it.each(CREATE_FAULTS)('finds out that the slot is ours when the create is %s', async (fault) => {
    store.creates.push(fault);
    expect(await create()).toEqual({ owner: 'us' });
    expect(await store.inner.get('log/1', 100)).toEqual(ours);
  });

  it.each([null, ...CREATE_FAULTS])('gives the bytes of whoever was first, with the create going %s', async (fault) => {
    await store.inner.create('log/1', theirs);
    store.creates.push(fault);
    expect(await create()).toEqual({ owner: 'other', bytes: theirs });
    expect(await store.inner.get('log/1', 100)).toEqual(theirs);
  });

  it('writes the same bytes again and again through an outage, with growing pauses', async () => {
    const before = clock.now();
    store.creates.push(...Array.from({ length: 10 }, () => 'refused' as const));
    store.failingReads = 10;
    expect(await create()).toEqual({ owner: 'us' });
    expect(store.attempts).toBe(11);
    // 100 ms, doubling up to 5 s.
    expect(clock.now() - before).toBe(100 + 200 + 400 + 800 + 1_600 + 3_200 + 4 * 5_000);
  });

  it('takes no read for a proof that its bytes are durable, but writes them again', async () => {
    store.creates.push('answer-lost');
    expect(await create()).toEqual({ owner: 'us' });
    expect(store.attempts).toBe(2);
  });

  it('lets a late write of ours meet the second one without harm', async () => {
    store.creates.push('late', 'lost', 'refused');
    expect(await create()).toEqual({ owner: 'us' });
  });

  it('does not know when it is stopped', async () => {
    await expect(create(AbortSignal.abort())).rejects.toMatchObject({ code: 'STORE_UNCERTAIN' });
    expect(store.attempts).toBe(0);
  });

  it('refuses bytes that nobody could read, before it writes them', async () => {
    const huge = Buffer.alloc(256 * 1_024 + 1);
    await expect(createSlot(store, 'log/1', huge, clock, never)).rejects.toMatchObject({
      code: 'SIZE_EXCEEDED',
      name: 'RequestError',
    });
    expect(store.attempts).toBe(0);
  });

  it('passes on what is no fault of the store', async () => {
    await expect(createSlot(store, 'log//1', ours, clock, never)).rejects.toThrow(RangeError);
  });
});

describe('createSlotOrSettle', () => {
  /** A clock whose sleep tells the writer to stop, once it has slept `sleeps` times, and the finding out 20 times later. */
  const stopping = (sleeps: number) => {
    const [stop, ended] = [new AbortController(), new AbortController()];
    let slept = 0;
    const sleep = async (): Promise<void> => {
      if (++slept === sleeps) stop.abort();
      if (slept === sleeps + 20) ended.abort();
      await Promise.resolve();
    };
    const begin = () =>
      createSlotOrSettle(
        { store, ended: ended.signal },
        'log/1',
        ours,
        { now: () => 0, monotonic: () => 0, sleep },
        stop.signal,
      );
    return { stop, ended, begin };
  };

  it.each([null, ...CREATE_FAULTS])('creates a slot as createSlot does, with the create going %s', async (fault) => {
    store.creates.push(fault);
    expect(await stopping(-1).begin()).toEqual({ owner: 'us' });
    expect(await store.inner.get('log/1', 100)).toEqual(ours);
  });

  it('sends nothing when it is stopped before, and says so', async () => {
    const { stop, begin } = stopping(-1);
    stop.abort();
    await expect(begin()).rejects.toMatchObject({ code: 'STOPPED', name: 'UnavailableError' });
    expect(store.attempts).toBe(0);
  });

  it('knows that nothing was written where the store has refused all that was sent', async () => {
    store.creates.push('refused', 'refused', 'refused', 'refused');
    await expect(stopping(3).begin()).rejects.toMatchObject({ code: 'STOPPED', name: 'UnavailableError' });
    expect(store.attempts).toBe(3);
    expect(await store.inner.get('log/1', 100)).toBeNull();
  });

  it.each(['answer-lost', 'late'] as const)(
    'finds what was sent before it was stopped, with the create going %s',
    async (fault) => {
      store.creates.push(fault);
      store.failingReads = 3;
      expect(await stopping(1).begin()).toEqual({ owner: 'us' });
      expect(await store.inner.get('log/1', 100)).toEqual(ours);
    },
  );

  it('sends nothing new once it was stopped, and does not know what became of a create that the store lost', async () => {
    store.creates.push('lost');
    await expect(stopping(1).begin()).rejects.toMatchObject({
      code: 'STORE_UNCERTAIN',
      name: 'UncertainError',
      fields: { slot: 'log/1' },
    });
    expect(store.attempts).toBe(1);
  });

  it('learns that someone else was first though it was stopped', async () => {
    await store.inner.create('log/1', theirs);
    store.creates.push('lost');
    expect(await stopping(1).begin()).toEqual({ owner: 'other', bytes: theirs });
  });

  it('lets a create that is on its way end, and believes its answer', async () => {
    const { stop, begin } = stopping(-1);
    const create = store.create.bind(store);
    store.create = (...call) => {
      stop.abort();
      return create(...call);
    };
    expect(await begin()).toEqual({ owner: 'us' });
  });
});

describe('putContent', () => {
  const key = new Layout('shop').state(sha256Hex(ours));

  it.each([null, ...CREATE_FAULTS])('stores the object, with the create going %s', async (fault) => {
    store.creates.push(fault);
    await putContent(store, key, ours, clock, never);
    expect(await store.inner.get(key, 100)).toEqual(ours);
  });

  const layout = new Layout('shop');
  const name = { log: { cluster: 'c', topic: 'data', partition: '0' }, epoch: 1, start: 0, end: 1 };
  const sha256 = 'a'.repeat(64);
  const caps: readonly (readonly [key: string, bytesMax: number])[] = [
    [layout.state(sha256), BYTES_MAX.state],
    [layout.schema(sha256), BYTES_MAX.schema],
    [layout.baseline(sha256), BYTES_MAX.baseline],
    [layout.snapshot(sha256), BYTES_MAX.snapshot],
    [layout.page(sha256), BYTES_MAX.page],
    [layout.judgement(sha256), BYTES_MAX.evidence],
    [layout.evidence(name, sha256), BYTES_MAX.evidence],
    [layout.data('data', name, sha256), BYTES_MAX.data],
    [layout.data('quarantine', name, sha256), BYTES_MAX.data],
    [layout.deadLetters(name, sha256), BYTES_MAX.data],
  ];

  it.each(caps)('refuses for %s more than its %d bytes, before it writes them', async (at, bytesMax) => {
    // Only its length matters: nothing is hashed before it is known to fit.
    await expect(putContent(store, at, Buffer.alloc(bytesMax + 1), clock, never)).rejects.toMatchObject({
      code: 'SIZE_EXCEEDED',
      name: 'RequestError',
      message: `Cannot store "${at}": it has ${bytesMax + 1} bytes, at most ${bytesMax} are allowed`,
    });
    expect(store.attempts).toBe(0);
  });

  it.each(['shop/log/c/t/0/1', 'shop/control/1', 'shop', 'shop/constructor/x'])(
    'does not know what may lie at "%s", and stores nothing there',
    async (at) => {
      await expect(putContent(store, at, ours, clock, never)).rejects.toThrow(RangeError);
      expect(store.attempts).toBe(0);
    },
  );

  it('does not care who stored it first', async () => {
    await store.inner.create(key, ours);
    await putContent(store, key, ours, clock, never);
  });

  it('refuses other bytes under its key', async () => {
    await store.inner.create(key, Buffer.from('ourz'));
    await expect(putContent(store, key, ours, clock, never)).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
      object: key,
    });
  });

  it('stops an outage only when it is told to', async () => {
    const stop = new AbortController();
    stop.abort();
    store.creates.push('refused');
    await expect(putContent(store, key, ours, clock, stop.signal)).rejects.toMatchObject({ code: 'STORE_UNCERTAIN' });
  });
});

describe('getVerified', () => {
  it('gives the bytes whose digest is named, and nothing else (M21–M25)', async () => {
    await store.put('a', ours);
    expect(await getVerified(store, 'a', sha256Hex(ours), 4)).toEqual(ours);
    await expect(getVerified(store, 'a', sha256Hex(theirs), 4)).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
      object: 'a',
    });
    await expect(getVerified(store, 'b', sha256Hex(ours), 4)).rejects.toMatchObject({
      code: 'OBJECT_MISSING',
      object: 'b',
    });
    await expect(getVerified(store, 'a', sha256Hex(ours), 3)).rejects.toMatchObject({
      code: 'SIZE_EXCEEDED',
      object: 'a',
    });
  });
});

describe('assertFits', () => {
  it('lets the cap itself pass', () => {
    expect(() => assertFits('a', Buffer.alloc(5), 5)).not.toThrow();
    expect(() => assertFits('a', Buffer.alloc(6), 5)).toThrow(
      expect.objectContaining({ code: 'SIZE_EXCEEDED' }) as Error,
    );
  });
});

describe('parseJson', () => {
  it('names the object that is no JSON', () => {
    expect(parseJson(Buffer.from('{"a":1}'), 'x')).toEqual({ a: 1 });
    expect(() => parseJson(Buffer.from('{'), 'x')).toThrow(
      expect.objectContaining({ code: 'PAYLOAD_INVALID', object: 'x' }) as Error,
    );
  });
});
