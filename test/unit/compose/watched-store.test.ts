import { getEventListeners } from 'node:events';

import { beforeEach, describe, expect, it, vi } from 'vitest';

import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { WatchedStore, type StoreWatch } from '../../../src/compose/watched-store.ts';
import { IntegrityError, UncertainError, UnavailableError } from '../../../src/errors.ts';
import type { ObjectStore, StoreCallOptions } from '../../../src/ports/object-store.ts';
import { StoreDecorator } from '../../support/faulty-store.ts';

const away = new UnavailableError('STORE_UNAVAILABLE', 'Cannot read "a": planned fault');
const unknown = new UncertainError('STORE_UNCERTAIN', 'Cannot tell whether "a" was created: planned fault');
const damaged = new IntegrityError('SIZE_EXCEEDED', 'a', 'Cannot read "a": planned fault');

const CALLS: readonly (readonly [string, (store: ObjectStore, options?: StoreCallOptions) => Promise<unknown>])[] = [
  ['create', (store, options) => store.create('a', Buffer.of(1), options)],
  ['get', (store, options) => store.get('a', 9, options)],
  ['stat', (store, options) => store.stat('a', options)],
  ['list', (store, options) => store.list('', { limit: 9 }, options)],
  ['put', (store, options) => store.put('a', Buffer.of(1), options)],
  ['delete', (store, options) => store.delete('a', options)],
];

/** Fails every call with `fault`, or lets it hang until its signal ends it; null = neither. */
class PlannedStore extends StoreDecorator {
  fault: Error | 'hang' | null = null;

  override create = (key: string, bytes: Uint8Array, options?: StoreCallOptions) =>
    this.#planned(() => this.inner.create(key, bytes), options);
  override get = (key: string, bytesMax: number, options?: StoreCallOptions) =>
    this.#planned(() => this.inner.get(key, bytesMax), options);
  override stat = (key: string, options?: StoreCallOptions) => this.#planned(() => this.inner.stat(key), options);
  override list = (prefix: string, page: { readonly limit: number }, options?: StoreCallOptions) =>
    this.#planned(() => this.inner.list(prefix, page), options);
  override put = (key: string, bytes: Uint8Array, options?: StoreCallOptions) =>
    this.#planned(() => this.inner.put(key, bytes), options);
  override delete = (key: string, options?: StoreCallOptions) => this.#planned(() => this.inner.delete(key), options);

  async #planned<Answer>(call: () => Promise<Answer>, options?: StoreCallOptions): Promise<Answer> {
    if (this.fault === null) return call();
    const { signal } = options ?? {};
    if (this.fault === 'hang' && signal?.aborted === false)
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    throw this.fault === 'hang' ? away : this.fault;
  }
}

describe.each(CALLS)('a %s of a store that is watched', (name, call) => {
  const ended = new AbortController();
  const told: string[] = [];
  const watch: StoreWatch = {
    failed: () => told.push('failed'),
    answered: () => told.push('answered'),
    written: () => told.push('written'),
    ended: ended.signal,
  };
  const onRetry = () => void told.push('retry');
  const isRead = ['get', 'stat', 'list'].includes(name);
  let inner: PlannedStore;
  let store: WatchedStore;

  beforeEach(() => {
    told.length = 0;
    inner = new PlannedStore(new MemoryStore());
    store = new WatchedStore(inner, { onRetry, watch });
  });

  it('tells of each answer, and of a create that nothing is waited for any more', async () => {
    await call(store);
    expect(told).toEqual(name === 'create' ? ['answered', 'written'] : ['answered']);
  });

  it('tells that it failed if someone waits for it, and passes the error on', async () => {
    for (const fault of [away, unknown, damaged]) {
      inner.fault = fault;
      await expect(call(store)).rejects.toBe(fault);
    }
    expect(told).toEqual(
      name === 'create' ? ['retry', 'failed', 'retry', 'failed'] : isRead ? ['failed', 'failed'] : [],
    );
  });

  it('works unwatched, too', async () => {
    const alone = new WatchedStore(inner, { onRetry });
    expect(await call(alone)).toEqual(await call(new MemoryStore()));
    inner.fault = away;
    await expect(call(alone)).rejects.toBe(away);
    expect(told).toEqual(name === 'create' ? ['retry'] : []);
  });

  it.each(['the watch', 'the caller'])(
    'is ended by %s, blames nobody and leaves nothing on the signals',
    async (who) => {
      const [end, callers] = [new AbortController(), new AbortController()];
      const warned = vi.spyOn(process, 'emitWarning');
      store = new WatchedStore(inner, { onRetry, watch: { ...watch, ended: end.signal } });
      inner.fault = 'hang';
      const calls = Array.from({ length: 40 }, () => call(store, { signal: callers.signal }));
      (who === 'the watch' ? end : callers).abort();
      for (const { status } of await Promise.allSettled(calls)) expect(status).toBe('rejected');
      // One that comes too late is not begun.
      const late = call(store, { signal: callers.signal });
      await expect(late).rejects.toMatchObject({ code: who === 'the watch' ? 'STOPPED' : 'STORE_UNAVAILABLE' });
      expect(told).toEqual([]);
      for (const { signal } of [end, callers]) expect(getEventListeners(signal, 'abort')).toEqual([]);
      expect(warned).not.toHaveBeenCalled();
      warned.mockRestore();
    },
  );

  it('is not begun once the watch has ended, on a store that looks at no signals, too', async () => {
    const called = vi.spyOn(inner, name as 'get');
    store = new WatchedStore(inner, { onRetry, watch: { ...watch, ended: AbortSignal.abort() } });
    await expect(call(store)).rejects.toMatchObject({ code: 'STOPPED', name: 'UnavailableError' });
    expect(called).not.toHaveBeenCalled();
    expect(told).toEqual([]);
  });

  it('without a signal of its own is ended by the watch', async () => {
    const end = new AbortController();
    store = new WatchedStore(inner, { onRetry, watch: { ...watch, ended: end.signal } });
    inner.fault = 'hang';
    const hanging = call(store);
    end.abort();
    await expect(hanging).rejects.toBe(away);
    expect(told).toEqual([]);
  });
});
