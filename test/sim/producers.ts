import type { MemoryBroker } from '../../src/adapters/memory/broker.ts';
import type { LogId } from '../../src/record/log-id.ts';
import { brokenOrderOf, garbageOf, orderOf } from './orders.ts';
import { Produced } from './produced.ts';
import type { SeededRng } from './rng.ts';
import type { PlannedWrite } from './scenario.ts';
import { WORLD_BEGINS_MS, type World } from './world.ts';

/** Those who write records, and the retention that deletes them again; all of it is kept in their own books, too. */
export class Producers {
  readonly produced = new Produced();
  readonly #world: World;
  readonly #broker: MemoryBroker;
  readonly #logs: readonly LogId[];
  readonly #rng: SeededRng;
  #records = 0;

  constructor(world: World, broker: MemoryBroker, logs: readonly LogId[], rng: SeededRng) {
    this.#world = world;
    this.#broker = broker;
    this.#logs = logs;
    this.#rng = rng;
    for (const log of logs) this.produced.add(log);
  }

  /** Records written so far. */
  get records(): number {
    return this.#records;
  }

  /** Writes at once, or one record after the other. */
  plan({ atMs, partition, records, ms, nature }: PlannedWrite): void {
    if (ms === 0) return this.#world.after(atMs, () => this.#write(partition, records, nature));
    for (let i = 0; i < records; i++)
      this.#world.after(atMs + (ms * i) / records, () => this.#write(partition, 1, nature));
  }

  /** Writes records, and deletes a share of all that the source holds of their partition before anyone can have read them. */
  retain(partition: number, records: number, share: number): void {
    const log = this.#logs[partition]!;
    if (records > 0) this.#write(partition, records, 'ordinary');
    const [earliest, latest] = [this.produced.earliest(log), this.produced.latest(log)];
    const before = earliest + Math.ceil(share * (latest - earliest));
    this.produced.deleteBefore(log, before);
    this.#broker.deleteBefore(log, before);
  }

  #write(partition: number, records: number, nature: PlannedWrite['nature']): void {
    const log = this.#logs[partition]!;
    const count = { length: records };
    if (nature === 'skipped') {
      this.produced.append(
        log,
        Array.from(count, () => null),
      );
      return this.#broker.skip(log, records, 'aborted');
    }
    const timestamp = BigInt(Math.floor(WORLD_BEGINS_MS + this.#world.nowMs));
    const written = Array.from(count, () => ({ value: Buffer.from(this.#value(nature)), timestamp }));
    this.produced.append(log, written);
    this.#broker.append(log, written);
  }

  #value(nature: 'ordinary' | 'broken' | 'garbage'): string {
    const id = this.#records++;
    if (nature === 'garbage') return garbageOf(this.#rng);
    return nature === 'broken' && this.#rng.chance(0.2) ? brokenOrderOf(this.#rng, id) : orderOf(this.#rng, id);
  }
}
